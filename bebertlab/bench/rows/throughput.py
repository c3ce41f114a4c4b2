"""Throughput at the sentence lengths of SST-2: training, prediction, data preparation, and epochs on a GPU."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch
from attrs import evolve
from tokenizers import Tokenizer

from bebertlab.bench.data import EPOCH_SENTENCES, MAXIMUM_TOKENS, generated_examples, sentence_lengths, text_task
from bebertlab.bench.huggingface import HuggingFaceTraining
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec, Timings, interleave, timed
from bebertlab.bench.models import W1A4, W1A8, BenchConfig
from bebertlab.bench.training import sst2_length_setup, train_labels, train_options
from bebertlab.data.batches import batches
from bebertlab.data.examples import Examples
from bebertlab.data.tokenizer_file import TOKENIZER_FILE
from bebertlab.data.tokens import Tokens, cached_tokens, tokenize
from bebertlab.inference.predict import predict
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.task import TRAIN, Split
from bebertlab.model.bert import BertClassifier
from bebertlab.training.sampler import EpochSampler
from bebertlab.training.setup import TrainingSetup

TRAINING = RowSpec(
    name="throughput.w1a8",
    description=(
        f"examples/s, W1A8 split at lengths of SST-2 / full precision (Hugging Face) padded to {MAXIMUM_TOKENS}"
    ),
    better="higher",
    goal=4.0,
)
PREDICTION = RowSpec(
    name="throughput.prediction",
    description="examples/s of prediction / of training, W1A8 split, lengths of SST-2",
    better="higher",
    goal=4.0,
)
THROUGHPUT = (TRAINING, PREDICTION)

_WARM_UP = 2  # steps at the start of a training, slowed down by memory allocation
_PREDICTION_FACTOR = 3  # sentences predicted per sentence trained; real prediction passes are longer still


def measure_throughput(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[Row]:
    """Both rows from the same training runs."""
    steps = 8 if config.quick else 50
    setup = sst2_length_setup(config, steps, _WARM_UP)
    model = W1A8.build(config)
    blocks: dict[str, Callable[[], float]] = {"training": partial(_train, model, setup, steps)}
    if TRAINING in specs:
        reference = HuggingFaceTraining(config, setup, padded=MAXIMUM_TOKENS)
        reference.train(1)
        blocks["reference"] = partial(reference.train, 1)
    if PREDICTION in specs:
        blocks["prediction"] = partial(_predict, model, config, _PREDICTION_FACTOR * steps * config.batch_size)
    timings = interleave(blocks, max(config.repeats // 2, 2), warm_up=0)
    trained = steps * config.batch_size
    if TRAINING in specs:
        yield _throughput_row(TRAINING, timings, ("training", trained), ("reference", config.batch_size))
    if PREDICTION in specs:
        predicted = _PREDICTION_FACTOR * trained
        yield _throughput_row(PREDICTION, timings, ("prediction", predicted), ("training", trained))


def _train(model: BertClassifier, setup: TrainingSetup, steps: int, warm_up: int = _WARM_UP) -> float:
    """Train from the start and return the seconds of the steps after the warm-up."""
    with train_labels(model, setup) as training:
        training.train(warm_up)
        return training.train(steps)


def _predict(model: BertClassifier, config: BenchConfig, sentences: int) -> float:
    examples = generated_examples(sentence_lengths(sentences, config.seed), config.architecture, config.seed)
    return timed(lambda: predict(model, examples, device=config.device), config.device)


def _throughput_row(spec: RowSpec, timings: Timings, numerator: tuple[str, int], denominator: tuple[str, int]) -> Row:
    """The ratio of two blocks' examples per second, each given as its name and number of examples."""
    (fast, fast_examples), (slow, slow_examples) = numerator, denominator
    ratio = timings.ratio(slow, fast, scale=fast_examples / slow_examples)
    rates = fast_examples / timings.median(fast), slow_examples / timings.median(slow)
    return Row(spec=spec, ratio=ratio, note=f"{rates[0]:.0f} / {rates[1]:.0f} examples/s")


FEEDING_SHARE = RowSpec(
    name="feeding.share",
    description="tokenization and batching / training, one epoch of the same sentences, W1A8 split",
    better="lower",
    goal=0.03,
)
FEEDING_CACHE = RowSpec(
    name="feeding.cache",
    description="tokens from the cache / from the texts, as on the second and on the first start",
    better="lower",
    goal=0.5,
)
FEEDING = (FEEDING_SHARE, FEEDING_CACHE)

_FEEDING_SENTENCES = 4_000


def measure_feeding(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[Row]:
    """Tokens are made once for all epochs and batches in every epoch, so one epoch is the worst case."""
    sentences = _FEEDING_SENTENCES // 2 if config.quick else _FEEDING_SENTENCES
    first, second, batching = zip(*_time_feeding(sentences, config), strict=True)
    if FEEDING_SHARE in specs:
        training = _step_seconds(config) * sentences / config.batch_size
        share = Ratio.of([(tokens + epoch) / training for tokens, epoch in zip(first, batching, strict=True)])
        microseconds = (1e6 * median(seconds) / sentences for seconds in (first, batching, [training]))
        note = "per sentence: {:.0f} + {:.0f} us / {:.0f} us".format(*microseconds)
        yield Row(spec=FEEDING_SHARE, ratio=share, note=note)
    if FEEDING_CACHE in specs:
        note = f"{sentences} sentences: {1000 * median(second):.1f} ms / {1000 * median(first):.1f} ms"
        yield Row(spec=FEEDING_CACHE, ratio=Ratio.of([b / a for a, b in zip(first, second, strict=True)]), note=note)


def _time_feeding(sentences: int, config: BenchConfig) -> list[tuple[float, float, float]]:
    """Per repeat, seconds to make and cache tokens, to read them from the cache, and to batch one epoch."""
    split = text_task(sentences, config).splits[TRAIN]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny = {"kind": "tiny", "maximum_tokens": MAXIMUM_TOKENS, "words": config.architecture.vocabulary}
        encoder = config.codec.load(tiny, EncoderOptions)  # type: ignore[type-abstract]
        encoder.tokenizer(split.texts).save_pretrained(folder)
        return [_time_starts(split, folder, f"repeat {repeat}", config) for repeat in range(config.repeats)]


def _time_starts(split: Split, folder: Path, key: str, config: BenchConfig) -> tuple[float, float, float]:
    tokenized: list[Tokens] = []

    def make() -> Tokens:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        tokenized.append(tokenize(tokenizer, split, MAXIMUM_TOKENS))
        return tokenized[0]

    def start() -> None:
        cached_tokens(folder, key, make)

    first, second = timed(start, config.device), timed(start, config.device)
    return first, second, timed(_batch_epoch(split, tokenized[0], config), config.device)


def _batch_epoch(split: Split, tokens: Tokens, config: BenchConfig) -> Callable[[], None]:
    examples = Examples(tokens=tokens, labels=torch.from_numpy(split.labels))
    sampler = EpochSampler(seed=config.seed, lengths=tokens.lengths)

    def run() -> None:
        plan = sampler.epoch("labels", 0, config.batch_size)
        deque(batches(examples, plan, device=config.device), maxlen=0)

    return run


def _step_seconds(config: BenchConfig) -> float:
    steps = 6 if config.quick else 40
    return _train(W1A8.build(config), sst2_length_setup(config, steps, _WARM_UP), steps) / steps


GPU_EPOCH = RowSpec(
    name="gpu.epoch",
    description=f"seconds per epoch of SST-2 ({EPOCH_SENTENCES} sentences), BERT-base, W1A4 split, bf16",
    better="lower",
    goal=30.0,
)
GPU_STEP = RowSpec(
    name="gpu.step",
    description="W1A4 split step in bf16 / full-precision step in bf16 (Hugging Face), BERT-base, lengths of SST-2",
    better="lower",
)
GPU = (GPU_EPOCH, GPU_STEP)

_GPU_WARM_UP, _GPU_STEPS = 10, 50


def measure_gpu(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Both rows from the same blocks of steps; the seconds of an epoch are extrapolated from them."""
    if not config.on_gpu:
        yield from (MissingRow(spec=spec, reason="needs a GPU: --device cuda") for spec in specs)
        return
    config = evolve(config, shape="base")
    options = train_options(config, precision="bf16")
    setup = sst2_length_setup(config, _GPU_STEPS, _GPU_WARM_UP, options=options)
    reference = HuggingFaceTraining(config, sst2_length_setup(config, _GPU_STEPS, 0), bf16=True)
    blocks = {
        "quantized": partial(_train, W1A4.build(config), setup, _GPU_STEPS, _GPU_WARM_UP),
        "reference": partial(reference.train, _GPU_STEPS),
    }
    timings = interleave(blocks, config.repeats)
    blocks_per_epoch = -(-EPOCH_SENTENCES // config.batch_size) / _GPU_STEPS
    note = " / ".join(f"{1000 * timings.median(name) / _GPU_STEPS:.1f} ms" for name in blocks)
    for spec in specs:
        if spec is GPU_EPOCH:
            seconds = Ratio.of([blocks_per_epoch * block for block in timings["quantized"]])
            yield Row(spec=spec, ratio=seconds, note=f"from {config.repeats} x {_GPU_STEPS} steps; {note}")
        else:
            yield Row(spec=spec, ratio=timings.ratio("quantized", "reference"), note=note)
