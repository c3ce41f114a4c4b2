"""Simulated studies of the shape of `studies/ensemble_ablation.yaml`."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question, StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.sampler import Objective
from bebertlab.interfaces.task import GENERATED

BITS = "ternary.scheme.activation_bits"
DISTILLATION, ENSEMBLE, SIZE = "members.distillation", "members.ensemble", "members.size"
AXES: dict[str, tuple[Any, ...]] = {
    BITS: (8, 4),
    DISTILLATION: ("none", "prediction", "two-stage"),
    ENSEMBLE: ("single", "bagging", "boosting"),
    SIZE: (1, 2, 4),
}
QUESTIONS = (
    Question(
        text="Does boosting beat bagging and the single model?",
        compare=ENSEMBLE,
        baseline="single",
        where={SIZE: [2, 4]},
        by=SIZE,
    ),
    Question(text="Does distillation inside the members pay?", compare=DISTILLATION, baseline="none", cost="members"),
    Question(text="What does each further member add?", compare=SIZE),
)
EFFECTS: dict[tuple[str, Any], float] = {
    (ENSEMBLE, "boosting"): 3.0,
    (ENSEMBLE, "bagging"): 0.2,
    (DISTILLATION, "prediction"): 0.4,
    (DISTILLATION, "two-stage"): 2.5,
    (SIZE, 2): 1.0,
    (SIZE, 4): 1.3,
    (BITS, 4): -1.5,
}
RESOLVED = {
    "schema_version": 1,
    "name": "ensemble_ablation",
    "exclude": [{"members.ensemble": ["single"], "members.size": [2, 4]}],
}

Simulate = Callable[..., tuple[StudyRecord, tuple[TrialRecord, ...]]]


def _key(*subgroups: object) -> str:
    return hashlib.sha256(repr(subgroups).encode()).hexdigest()


def _stage(name: str, kind: str, key: str, score: float, seconds: float, size: float) -> StageResult:
    score += int(key[:4], 16) / 0xFFFF - 0.5  # one artifact, one score
    metrics = {"validation/score": score, "select/score": score + 0.8, "size/total_mebibytes": size}
    return StageResult(stage=name, stage_kind=kind, key=key, seconds=seconds, metrics=metrics)


def _stages(point: Mapping[str, Any], seed: int, noise: np.random.Generator, score: float) -> list[StageResult]:
    bits, distillation, ensemble = point[BITS], point[DISTILLATION], point[ENSEMBLE]
    trunk = [
        _stage("teacher", "finetune", _key("teacher", seed), 88.0 + seed, 9.1, 1.42),
        _stage("half", "slice", _key("half", seed), 71.0 + seed, 0.02, 0.81),
        _stage("half_teacher", "distill", _key("half_teacher", seed), 86.5 + seed, 8.2, 0.81),
        _stage("ternary", "distill", _key("ternary", bits, seed), 82.0 + seed + bits / 8, 14.0, 0.11),
        _stage("split", "split", _key("split", bits, seed), 82.0 + seed + bits / 8, 0.1, 0.11),
        _stage("binary", "distill", _key("binary", bits, seed), 80.0 + seed + bits / 8, 12.0, 0.11),
    ]
    cost = {"none": 3.0, "prediction": 4.1, "two-stage": 7.3}[distillation] + float(noise.uniform(0, 0.3))
    members = [
        _stage(f"members.{i}", "member", _key("member", i, bits, distillation, ensemble, seed), score - 2.0, cost, 0.11)
        for i in range(point[SIZE])
    ]
    merged = StageResult(stage="merge", stage_kind="merge", key=_key("merge", *point.values(), seed), seconds=0.03)
    return [*trunk, *members, merged]


def _trial(number: int, point: Mapping[str, Any], seed: int, score: float, noise: np.random.Generator) -> TrialRecord:
    metrics = {
        "validation/score": score,
        "validation/matthews": score,
        "select/score": score + 1.0,
        "size/total_mebibytes": 0.11 * point[SIZE],
        "members/count": float(point[SIZE]),
    }
    result = StageResult(stage="score", stage_kind="evaluate", key=_key(number), seconds=0.2, metrics=metrics)
    values = " ".join(f"{path}={value}" for path, value in point.items())
    return TrialRecord(
        number=number,
        name=f"t{number:03d} {values} seed={seed}",
        parameters=dict(point),
        seed=seed,
        state=TrialState.COMPLETE,
        metrics=metrics,
        seconds=4.0,
        stages=(*_stages(point, seed, noise, score), result),
    )


def grid(axes: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return [point for point in points if not (point[ENSEMBLE] == "single" and point[SIZE] > 1)]


def simulate_study(
    tmp_path: Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    effects: Mapping[tuple[str, Any], float] = EFFECTS,
    spread: float = 0.4,
    draw: int = 0,
    axes: Mapping[str, tuple[Any, ...]] = AXES,
) -> tuple[StudyRecord, tuple[TrialRecord, ...]]:
    noise = np.random.default_rng(draw)
    study = StudyRecord(
        name="ensemble_ablation",
        digest="3f2c9a71" + "0" * 56,
        description="Binary BERT ensembles with and without distillation inside the members",
        folder=tmp_path / "studies" / "ensemble_ablation-3f2c9a71",
        work=tmp_path,
        identity={"task": "minigrammar", "encoder": "tiny", "recipe": "bebert"},
        resolved=RESOLVED,
        objectives=(Objective(),),
        axes=dict(axes),
        seeds=tuple(seeds),
        questions=QUESTIONS,
        caveats=(GENERATED,),
    )
    of_seed = {seed: float(noise.normal(0, 1.0)) for seed in seeds}
    trials: list[TrialRecord] = []
    for point, seed in itertools.product(grid(axes), seeds):
        score = 78.0 + sum(effects.get(chosen, 0.0) for chosen in point.items())
        score += of_seed[seed] + float(noise.normal(0, spread))
        trials.append(_trial(len(trials), point, seed, score, noise))
    return study, tuple(trials)


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    def make(**changes: Any) -> tuple[StudyRecord, tuple[TrialRecord, ...]]:  # noqa: ANN401
        return simulate_study(tmp_path, **changes)

    return make


@pytest.fixture
def fail() -> Callable[[TrialRecord], TrialRecord]:
    def failed(trial: TrialRecord) -> TrialRecord:
        return evolve(
            trial, state=TrialState.FAILED, metrics={}, error="binary: the loss became NaN at step 7", stages=()
        )

    return failed
