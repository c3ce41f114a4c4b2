"""Every shipped stage and group keeps the contract of stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.stage import Artifact
from bebertlab.registry.manager import load_plugins
from bebertlab.testing import StageRunner, check_stage
from bebertlab.testing.tiny import tiny_task

TASK = tiny_task(examples=48)
SHORT = {"epochs": 1, "learning_rate": 1e-3}
TERNARY = {"kind": "binarybert", "weight_bits": 2, "activation_bits": 8}
CASES: list[dict[str, Any]] = [
    {"kind": "finetune", "train": SHORT},
    {"kind": "load"},
    {"kind": "slice", "model": "teacher", "width": 0.5, "depth": 0.5},
    {"kind": "distill", "model": "teacher", "teacher": "teacher", "distillation": "two-stage", "train": SHORT},
    {"kind": "distill", "model": "teacher", "scheme": TERNARY, "distillation": "none", "train": SHORT},
    {"kind": "split", "model": "ternary", "splitter": "tws"},
    {"kind": "member", "model": "teacher", "ensemble": "bagging", "train": SHORT},
    {"kind": "members", "model": "teacher", "ensemble": "boosting", "start": "previous-last", "train": SHORT},
    {"kind": "members", "model": "teacher", "ensemble": "bagging", "schemes": ["bitnet", "bit"], "train": SHORT},
    {"kind": "merge", "members": ["teacher", "other"], "rule": "mean_probability", "weights": [1, 2]},
    {"kind": "pack", "of": "teacher"},
    {"kind": "evaluate", "of": "teacher"},
    {"kind": "reorder", "model": "teacher", "examples": 16},
]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> StageRunner:
    return StageRunner(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def teacher(runner: StageRunner) -> Artifact:
    return runner.run({"kind": "finetune", "train": SHORT}, TASK, name="teacher")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
def test_stages_keep_the_contract(case: dict[str, Any], runner: StageRunner, teacher: Artifact, tmp_path: Path) -> None:
    if case["kind"] == "load":
        case = {**case, "folder": str(teacher.folder)}
    stage_runner = StageRunner(tmp_path, runner.codec)
    inputs: dict[str, Artifact] = {}
    if case.get("model") == "ternary":
        full = stage_runner.run({"kind": "finetune", "train": SHORT}, TASK)
        inputs["model"] = stage_runner.run(
            {"kind": "distill", "model": "teacher", "scheme": TERNARY, "distillation": "none", "train": SHORT},
            TASK,
            model=full,
        )
    artifacts = check_stage(case, stage_runner, TASK, **inputs)
    assert all((artifact.folder / "metrics.json").is_file() for artifact in artifacts.values())


def test_every_kind_is_tested() -> None:
    codec = OptionsCodec(load_plugins().registry)
    assert {case["kind"] for case in CASES} == set(codec.registry.kinds("stage"))
