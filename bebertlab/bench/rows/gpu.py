"""What a GPU reaches, at the shape of BERT-base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from attrs import evolve

from bebertlab.bench.clock import Ratio, alternate
from bebertlab.bench.huggingface import HuggingFaceSteps
from bebertlab.bench.lengths import SENTENCES
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.scheme import W1A4
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import Steps, labels_phase, mixed_setup, train_options
from bebertlab.model.bert import BertClassifier
from bebertlab.training.setup import TrainingSetup

EPOCH = Goal(
    name="gpu.epoch",
    what=f"seconds of an epoch of SST-2 ({SENTENCES} sentences), BERT-base, W1A4 split, bf16",
    better="lower",
    goal=30.0,
)
STEP = Goal(
    name="gpu.step",
    what="W1A4 split step in bf16 / full-precision step in bf16 (Hugging Face), BERT-base, lengths of SST-2",
    better="lower",
)
GOALS = (EPOCH, STEP)

_WARM_UP, _BLOCK = 10, 50  # steps


def gpu(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Both rows, from the same blocks of steps; the epoch is as many times longer as it has more steps."""
    if not setting.on_gpu:
        yield from (Missing(target=target, reason="needs a GPU: --device cuda") for target in wanted)
        return
    setting = evolve(setting, shape="base")
    setup = mixed_setup(setting, _BLOCK, _WARM_UP, options=train_options(setting, precision="bf16"))
    yardstick = HuggingFaceSteps(setting, mixed_setup(setting, _BLOCK, 0), bf16=True)
    blocks = {"quantized": partial(_train, W1A4.build(setting), setup), "full": partial(yardstick.take, _BLOCK)}
    timings = alternate(blocks, setting.turns)
    epoch = -(-SENTENCES // setting.batch_size) / _BLOCK
    note = " / ".join(f"{1000 * timings.median(name) / _BLOCK:.1f} ms" for name in blocks)
    for target in wanted:
        if target is EPOCH:
            seconds = Ratio.of([epoch * one for one in timings["quantized"]])
            yield Row(target=target, ratio=seconds, note=f"from {setting.turns} x {_BLOCK} steps; {note}")
        else:
            yield Row(target=target, ratio=timings.ratio("quantized", "full"), note=note)


def _train(model: BertClassifier, setup: TrainingSetup) -> float:
    with Steps(model, labels_phase(), setup) as training:
        training.take(_WARM_UP)
        return training.take(_BLOCK)
