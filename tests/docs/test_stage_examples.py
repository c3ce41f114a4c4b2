"""The stages that the documentation shows: each file is a plugin that keeps the contract and works as described."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from bebertlab.artifacts.metrics import read_metrics
from bebertlab.config.codec import OptionsCodec
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.pipeline.plan import plan
from bebertlab.pipeline.read import recipe_of
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.manager import load_plugins
from bebertlab.study.metrics import check_metric
from bebertlab.testing import StageRunner, check_stage
from bebertlab.testing.tiny import tiny_task

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TASK = tiny_task(examples=96)
SHORT = {"epochs": 1, "learning_rate": 1e-3}


@pytest.fixture
def runner(tmp_path: Path) -> Callable[[str], StageRunner]:
    """A runner that knows the plugin in an example file."""

    def load(name: str) -> StageRunner:
        plugins = load_plugins([EXAMPLES / f"{name}.py"])
        assert not plugins.failures
        return StageRunner(tmp_path, OptionsCodec(plugins.registry))

    return load


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("training_stage", {"kind": "sam", "model": "teacher", "scheme": "bitnet", "train": SHORT}),
        ("evaluation_stage", {"kind": "calibration", "of": "teacher"}),
        ("heterogeneous_ensemble", {"kind": "mixed", "model": "teacher", "schemes": [None, "bitnet"], "train": SHORT}),
    ],
)
def test_an_example_keeps_the_contract(name: str, stage: dict[str, Any], runner: Callable[[str], StageRunner]) -> None:
    check_stage(stage, runner(name), TASK)


@pytest.mark.parametrize("name", ["training_stage", "evaluation_stage", "heterogeneous_ensemble"])
def test_an_example_is_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 100


def test_sharpness_aware_training_learns_and_depends_on_its_radius(runner: Callable[[str], StageRunner]) -> None:
    stages = runner("training_stage")
    start = stages.run({"kind": "finetune", "train": SHORT}, TASK)
    sam = {"kind": "sam", "model": "start", "train": {"epochs": 6, "learning_rate": 5e-3, "batch_size": 16}}
    trained, wider = (stages.run({**sam, "radius": radius}, TASK, model=start) for radius in (0.05, 0.5))
    assert read_metrics(trained.folder)["select/score"] > read_metrics(start.folder)["select/score"]
    assert read_metrics(trained.folder)["train/steps"] == 6 * 6
    assert (trained.folder / "model.safetensors").read_bytes() != (wider.folder / "model.safetensors").read_bytes()


def test_the_calibration_error_matches_manual_calculation() -> None:
    example = module("evaluation_stage")
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7]])
    labels = np.array([0, 1, 1])
    # two with confidence 0.9, of which one is correct; one with 0.7, which is correct
    assert example.calibration_error(scores, labels, 10) == pytest.approx(100 * (2 * 0.4 + 0.3) / 3)
    assert (example.probabilities(scores) == scores).all()
    assert example.probabilities(np.log(scores) + 5) == pytest.approx(scores)


def test_trials_can_be_compared_by_the_calibration_error(runner: Callable[[str], StageRunner]) -> None:
    codec = runner("evaluation_stage").codec
    recipe = """\
    task: {kind: minigrammar, size: 60, validation_size: 30}
    encoder: tiny
    stages: {teacher: {kind: finetune}, score: {kind: calibration, of: teacher}}
    """
    planned = plan(recipe_of(parse_yaml(recipe, "r.yaml"), codec), TaskCache(codec), codec)
    for metric in ("calibration/validation_error", "validation/score", "size/total_mebibytes"):
        check_metric(metric, planned)
    with pytest.raises(UserError, match=r"no metric 'calibration/error' .*did you mean"):
        check_metric("calibration/error", planned)


def test_a_regression_has_no_calibration(runner: Callable[[str], StageRunner]) -> None:
    task, stages = tiny_task(regression=True, examples=24), runner("evaluation_stage")
    start = stages.run({"kind": "finetune", "train": SHORT}, task)
    with pytest.raises(UserError, match="'tiny' is a regression, whose predictions have no confidence"):
        stages.run({"kind": "calibration", "of": "start"}, task, of=start)


def test_members_of_different_schemes_are_weighted_by_their_score(runner: Callable[[str], StageRunner]) -> None:
    stages = runner("heterogeneous_ensemble")
    group = {"kind": "mixed", "model": "teacher", "schemes": [None, "bitnet"], "train": SHORT}
    members = tuple(check_stage(group, stages, TASK).values())
    merged = stages.run({"kind": "merge", "members": "members", "rule": "weighted_mean"}, TASK, members=members)
    weights = [read_metrics(member.folder)["select/score"] for member in members]
    logits = [load_file(member.folder / "logits.safetensors")["validation"] for member in members]
    expected = np.average(logits, axis=0, weights=weights)
    assert load_file(merged.folder / "scores.safetensors")["validation"] == pytest.approx(expected)
    sizes = [read_metrics(member.folder)["size/matrix_mebibytes"] for member in members]
    assert sizes[1] < sizes[0]
    assert read_metrics(merged.folder)["size/matrix_mebibytes"] == pytest.approx(sum(sizes))
