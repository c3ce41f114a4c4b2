"""Sentences a second at the lengths of SST-2: in training, and in a pass of prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bebertlab.bench.clock import Timings, alternate, timed
from bebertlab.bench.data import generated_examples
from bebertlab.bench.huggingface import HuggingFaceSteps
from bebertlab.bench.lengths import MAXIMUM_TOKENS, sentence_lengths
from bebertlab.bench.row import Finding, Goal, Row
from bebertlab.bench.scheme import W1A8
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import Steps, labels_phase, mixed_setup
from bebertlab.inference.predict import predict
from bebertlab.model.bert import BertClassifier
from bebertlab.training.setup import TrainingSetup

TRAINING = Goal(
    name="throughput.w1a8",
    what=f"examples/s, W1A8 split at lengths of SST-2 / full precision (Hugging Face) padded to {MAXIMUM_TOKENS}",
    better="higher",
    goal=4.0,
)
PREDICTION = Goal(
    name="throughput.prediction",
    what="examples/s of a prediction pass / of training, W1A8 split, lengths of SST-2",
    better="higher",
    goal=4.0,
)
GOALS = (TRAINING, PREDICTION)

_WARM_UP = 2  # steps at the start of a training, where memory is laid out
_PASS = 3  # times as many sentences as in the training; a real pass is longer still


def throughput(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Both rows, from the same trainings."""
    steps = 8 if setting.quick else 50
    setup = mixed_setup(setting, steps, _WARM_UP)
    model = W1A8.build(setting)
    blocks: dict[str, Callable[[], float]] = {"training": partial(_train, model, setup, steps)}
    if TRAINING in wanted:
        yardstick = HuggingFaceSteps(setting, setup, padded=MAXIMUM_TOKENS)
        yardstick.take(1)
        blocks[TRAINING.name] = partial(yardstick.take, 1)
    if PREDICTION in wanted:
        blocks[PREDICTION.name] = partial(_predict, model, setting, _PASS * steps * setting.batch_size)
    timings = alternate(blocks, max(setting.turns // 2, 2), warm_up=0)
    trained = steps * setting.batch_size
    if TRAINING in wanted:
        yield _row(TRAINING, timings, (trained, "training"), (setting.batch_size, TRAINING.name))
    if PREDICTION in wanted:
        yield _row(PREDICTION, timings, (_PASS * trained, PREDICTION.name), (trained, "training"))


def _train(model: BertClassifier, setup: TrainingSetup, steps: int) -> float:
    """A training from its start; the first steps do not count."""
    with Steps(model, labels_phase(), setup) as training:
        training.take(_WARM_UP)
        return training.take(steps)


def _predict(model: BertClassifier, setting: Setting, sentences: int) -> float:
    """A pass over a training set, the weights quantized once."""
    examples = generated_examples(sentence_lengths(sentences, setting.seed), setting.sizes, setting.seed)
    return timed(lambda: predict(model, examples, device=setting.device), setting.device)


def _row(target: Goal, timings: Timings, over: tuple[int, str], under: tuple[int, str]) -> Row:
    """Examples a second of one block over those of another, each given as its examples and its name."""
    (many, fast), (few, slow) = over, under
    ratio = timings.ratio(slow, fast, scale=many / few)
    rates = many / timings.median(fast), few / timings.median(slow)
    return Row(target=target, ratio=ratio, note=f"{rates[0]:.0f} / {rates[1]:.0f} examples a second")
