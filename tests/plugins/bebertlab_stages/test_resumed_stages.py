"""Every kind of stage that trains ends with the same artifact after it was killed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from safetensors.torch import load_file

from bebertlab.interfaces.stage import Artifact, Inputs
from bebertlab.interfaces.task import Task
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.training import run
from bebertlab.training.options import TrainOptions
from tests.training.interruption import KillAt, Killed, state_file

TWO_STAGE = {"distillation": "two-stage", "scheme": {"kind": "binarybert", "weight_bits": 2, "activation_bits": 4}}
STAGES: Mapping[str, dict[str, Any]] = {
    "finetune": {"kind": "finetune"},
    "two-stage": {"kind": "distill", "model": "m", "teacher": "t", **TWO_STAGE},
    "bibert": {
        "kind": "distill",
        "model": "m",
        "teacher": "t",
        "scheme": {"kind": "bibert"},
        "distillation": "direction-matching",
    },
    "bit": {"kind": "distill", "model": "m", "teacher": "t", "scheme": {"kind": "bit"}, "distillation": "bit"},
    "ternarybert": {
        "kind": "distill",
        "model": "m",
        "teacher": "t",
        "scheme": {"kind": "ternarybert"},
        "distillation": "joint",
    },
    "dynabert-width": {
        "kind": "distill",
        "model": "m",
        "teacher": "t",
        "distillation": {"kind": "dynabert-width", "widths": [0.5, 1.0]},
    },
    "dynabert-depth": {
        "kind": "distill",
        "model": "m",
        "teacher": "t",
        "distillation": {"kind": "dynabert-depth", "widths": [0.5, 1.0], "depths": [0.5, 1.0]},
    },
    "boosting": {"kind": "member", "model": "m", "ensemble": "boosting"},
    "bagging": {"kind": "member", "model": "m", "ensemble": "bagging"},
}


@pytest.fixture(autouse=True)
def _report_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PROGRESS_SECONDS", -1.0)


def _files(folder: Path) -> Iterator[tuple[str, object]]:
    """The content of every file that does not depend on time."""
    for path in sorted(folder.rglob("*")):
        if path.name == "metrics.json":
            metrics = json.loads(path.read_text())
            yield path.name, {name: value for name, value in metrics.items() if "seconds" not in name}
        elif path.suffix == ".safetensors":
            yield path.name, {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}
        elif path.is_file():
            yield path.name, path.read_bytes()


@pytest.mark.parametrize("kind", STAGES)
def test_a_killed_stage_writes_the_same_artifact(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, tmp_path: Path, kind: str
) -> None:
    data = {**STAGES[kind], "train": bench.codec.dump(evolve(train, epochs=2))}
    given: dict[str, tuple[Artifact, ...]] = {name: (teacher,) for name in ("model", "teacher") if name in data}
    prepared = bench.prepare(bench.options(data), task, given).stage
    inputs = Inputs(artifacts=given)
    whole = bench.context(task)
    prepared.run(inputs, whole)
    for step in (4, 9):
        with pytest.raises(Killed):
            prepared.run(inputs, evolve(bench.context(task), states=state_file(tmp_path), progress=KillAt(step)))
    observer = KillAt()
    resumed = evolve(bench.context(task), states=state_file(tmp_path), progress=observer)
    prepared.run(inputs, resumed)
    assert any("resumed at step" in text for text in observer.texts)
    assert dict(_files(resumed.folder)) == dict(_files(whole.folder))
