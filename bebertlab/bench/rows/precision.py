"""Training in bfloat16: its speed, whether it is repeatable, and its scores."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec, interleave
from bebertlab.bench.models import W1A8, BenchConfig
from bebertlab.bench.training import (
    TOKENS,
    StepwiseTraining,
    equal_length_setup,
    labels_phase,
    train_labels,
    train_options,
)
from bebertlab.data.examples import Examples, load_examples
from bebertlab.inference.predict import predict
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task, TaskOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.precision import multiplies_in_bf16
from bebertlab.training.loop import fit
from bebertlab.training.options import TrainOptions
from bebertlab.training.setup import TrainingSetup

SPEED = RowSpec(
    name="bf16.speed",
    description=f"fp32 step / bf16 step, W1A8 split, {TOKENS} tokens",
    better="higher",
    goal=1.5,
)
REPEAT = RowSpec(
    name="bf16.repeat",
    description="weights that differ between two equal trainings in bf16, W1A8 split",
    better="lower",
    goal=0.0,
    quick=False,
)
PRECISION = (SPEED, REPEAT)

_NO_BF16 = "this device has no bf16 instructions (AVX512-BF16, AMX), so bf16 would be slower than fp32"


def measure_precision(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Speed only on devices with bf16 instructions, repeatability on all."""
    for spec in specs:
        if spec is REPEAT:
            yield _measure_repeat(config)
        elif multiplies_in_bf16(config.device):
            yield _measure_speed(config)
        else:
            yield MissingRow(spec=spec, reason=_NO_BF16)


def _measure_speed(config: BenchConfig) -> Row:
    with ExitStack() as stack:
        trainings = {
            precision: stack.enter_context(_train_in(precision, config.total_steps, config))
            for precision in ("fp32", "bf16")
        }
        blocks = {precision: partial(training.train, config.steps) for precision, training in trainings.items()}
        timings = interleave(blocks, config.repeats)
    note = " / ".join(f"{1000 * timings.median(precision) / config.steps:.0f} ms" for precision in trainings)
    return Row(spec=SPEED, ratio=timings.ratio("fp32", "bf16"), note=note)


def _train_in(precision: str, steps: int, config: BenchConfig) -> StepwiseTraining:
    setup = equal_length_setup(config, steps, options=train_options(config, precision=precision))
    return train_labels(W1A8.build(config), setup)


def _measure_repeat(config: BenchConfig) -> Row:
    steps = 3
    options = train_options(config, precision="bf16")
    setup = equal_length_setup(config, steps, options=options)
    weights = []
    for _ in range(2):
        model = W1A8.build(config)
        with train_labels(model, setup) as training:
            training.train(steps)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    different = int((weights[0] != weights[1]).sum())
    return Row(spec=REPEAT, ratio=Ratio.of([float(different)]), note=f"{steps} steps, {len(weights[0])} weights")


SCORE = (
    RowSpec(
        name="bf16.score",
        description="difference of mean validation scores, bf16 and fp32 / range of fp32 over seeds, a generated task",
        better="lower",
        goal=1.0,
        quick=False,
    ),
)

_TASK: dict[str, Any] = {"kind": "minigrammar", "grammar": "sentiment", "size": 2000}
_TRAIN: dict[str, Any] = {"epochs": 4, "learning_rate": 1e-3}
_SEEDS = 3


def measure_score(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[Row]:
    """The same small model trained with the same seeds in both precisions."""
    task = config.codec.load(_TASK, TaskOptions).load()  # type: ignore[type-abstract]
    fp32, bf16 = ([*_scores(task, config, precision)] for precision in ("fp32", "bf16"))
    ratio = _score_ratio(abs(mean(bf16) - mean(fp32)), max(fp32) - min(fp32))
    note = f"{mean(bf16):.1f} / {mean(fp32):.1f}, range of fp32 {min(fp32):.1f} to {max(fp32):.1f}, {_SEEDS} seeds"
    yield from (Row(spec=spec, ratio=Ratio.of([ratio]), note=note) for spec in specs)


def _score_ratio(difference: float, score_range: float) -> float:
    """A difference of scores by their range over seeds; without a range, any difference is infinitely large.

    >>> _score_ratio(0.5, 2.0), _score_ratio(0.0, 0.0), _score_ratio(0.5, 0.0)
    (0.25, 0.0, inf)
    """
    if score_range:
        return difference / score_range
    return float("inf") if difference else 0.0


def _scores(task: Task, config: BenchConfig, precision: str) -> Iterator[float]:
    options = train_options(config, precision=precision, **_TRAIN)
    with tempfile.TemporaryDirectory() as folder:
        encoder = config.codec.load({"kind": "tiny"}, EncoderOptions)  # type: ignore[type-abstract]
        tokenizer = encoder.tokenizer(task.splits[TRAIN].texts)
        tokenizer.save_pretrained(Path(folder))
        examples = {
            split: load_examples(task, split, Path(folder), encoder.maximum_tokens)
            for split in (TRAIN, SELECT, VALIDATION)
        }
    for seed in range(config.seed, config.seed + _SEEDS):
        model = BertClassifier.from_checkpoint(encoder.checkpoint(len(tokenizer), task.outputs, seed))
        yield _train_and_score(model, examples, task, options, config, seed)


def _train_and_score(
    model: BertClassifier,
    examples: Mapping[str, Examples],
    task: Task,
    options: TrainOptions,
    config: BenchConfig,
    seed: int,
) -> float:
    setup = TrainingSetup(
        stage="bench",
        task=task,
        train=examples[TRAIN],
        select=examples[SELECT],
        options=options,
        seed=seed,
        device=config.device,
    )
    fit(model, labels_phase(), setup)
    logits = predict(model, examples[VALIDATION], device=config.device, precision=options.precision)
    return task.evaluate(VALIDATION, logits.numpy())["score"]
