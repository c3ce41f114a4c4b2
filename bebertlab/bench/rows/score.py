"""Whether a model that is trained in bfloat16 is as good."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from bebertlab.bench.clock import Ratio
from bebertlab.bench.row import Finding, Goal, Row
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import labels_phase, train_options
from bebertlab.data.examples import Examples, load_examples
from bebertlab.inference.predict import predict
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task, TaskOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.training.loop import fit
from bebertlab.training.options import TrainOptions
from bebertlab.training.setup import TrainingSetup

GOALS = (
    Goal(
        name="bf16.score",
        what="difference of the mean validation scores in bf16 and fp32 / spread of fp32 over seeds, a generated task",
        better="lower",
        goal=1.0,
        quick=False,
    ),
)

_TASK: dict[str, Any] = {"kind": "minigrammar", "grammar": "sentiment", "size": 2000}
_TRAIN: dict[str, Any] = {"epochs": 4, "learning_rate": 1e-3}
_SEEDS = 3


def score(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """The same small model from the same seeds in both precisions."""
    task = setting.codec.load(_TASK, TaskOptions).load()  # type: ignore[type-abstract]
    fp32, bf16 = ([*_scores(task, setting, precision)] for precision in ("fp32", "bf16"))
    noise = max(fp32) - min(fp32)
    note = f"{mean(bf16):.1f} / {mean(fp32):.1f}, the latter {min(fp32):.1f} to {max(fp32):.1f} over {_SEEDS} seeds"
    yield from (
        Row(target=target, ratio=Ratio.of([_ratio(abs(mean(bf16) - mean(fp32)), noise)]), note=note)
        for target in wanted
    )


def _ratio(difference: float, noise: float) -> float:
    """Seeds that all reach the same score leave no room for a difference."""
    return difference / noise if noise else (float("inf") if difference else 0.0)


def _scores(task: Task, setting: Setting, precision: str) -> Iterator[float]:
    options = train_options(setting, precision=precision, **_TRAIN)
    with tempfile.TemporaryDirectory() as folder:
        encoder = setting.codec.load({"kind": "tiny"}, EncoderOptions)  # type: ignore[type-abstract]
        tokenizer = encoder.tokenizer(task.splits[TRAIN].texts)
        tokenizer.save_pretrained(Path(folder))
        examples = {
            split: load_examples(task, split, Path(folder), encoder.maximum_tokens)
            for split in (TRAIN, SELECT, VALIDATION)
        }
    for seed in range(setting.seed, setting.seed + _SEEDS):
        model = BertClassifier.from_checkpoint(encoder.checkpoint(len(tokenizer), task.outputs, seed))
        yield _score(model, examples, task, options, setting, seed)


def _score(
    model: BertClassifier,
    examples: dict[str, Examples],
    task: Task,
    options: TrainOptions,
    setting: Setting,
    seed: int,
) -> float:
    setup = TrainingSetup(
        stage="bench",
        task=task,
        train=examples[TRAIN],
        select=examples[SELECT],
        options=options,
        seed=seed,
        device=setting.device,
    )
    fit(model, labels_phase(), setup)
    logits = predict(model, examples[VALIDATION], device=setting.device, precision=options.precision)
    return task.evaluate(VALIDATION, logits.numpy())["score"]
