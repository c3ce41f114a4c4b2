from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from bebertlab.artifacts.outputs import (
    evaluated_splits,
    has_probabilities,
    read_logits,
    read_scores,
    score_metrics,
    write_logits,
    write_scores,
)
from bebertlab.data.metrics import ACCURACY_METRICS
from bebertlab.errors import UserError
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import SELECT, VALIDATION, Task
from bebertlab.testing.stage_runner import StageRunner


@pytest.fixture
def artifact(bench: StageRunner, task: Task) -> Artifact:
    return Artifact(stage="student", key="k", folder=bench.context(task).folder, seconds=0.0)


def outputs(task: Task, dtype: type[np.floating], shift: float = 0.0) -> dict[str, np.ndarray]:
    return {
        split: (np.eye(task.outputs)[task.splits[split].labels] / 3 + shift).astype(dtype)
        for split in evaluated_splits(task)
    }


def test_select_and_all_validation_splits_are_evaluated(task: Task) -> None:
    further = {name: task.splits[VALIDATION] for name in ("validation_b", "validation_a", "other")}
    wider = evolve(task, splits={**task.splits, **further})
    assert evaluated_splits(wider) == (SELECT, VALIDATION, "validation_a", "validation_b")


def test_logits_are_read_as_they_were_written(task: Task, artifact: Artifact) -> None:
    logits = outputs(task, np.float32)
    write_logits({split: np.asfortranarray(values) for split, values in logits.items()}, artifact.folder)
    for read in (read_logits(artifact, task), read_scores(artifact, task)):
        assert list(read) == list(logits)
        assert all(
            (read[split] == values).all() and read[split].dtype == np.float32 for split, values in logits.items()
        )


def test_the_scores_of_an_ensemble_are_evaluated_and_its_logits_merged(task: Task, artifact: Artifact) -> None:
    write_logits(outputs(task, np.float32), artifact.folder)
    write_scores(outputs(task, np.float64, shift=1.0), artifact.folder)
    assert (read_scores(artifact, task)[SELECT] >= 1).all()
    assert read_scores(artifact, task)[SELECT].dtype == np.float64
    assert (read_logits(artifact, task)[SELECT] < 1).all()


def test_outputs_record_which_scores_are_probabilities(task: Task, artifact: Artifact) -> None:
    write_logits(outputs(task, np.float32), artifact.folder)
    assert not has_probabilities(artifact)
    for probabilities in (True, False):
        write_scores(outputs(task, np.float64), artifact.folder, probabilities=probabilities)
        assert has_probabilities(artifact) is probabilities


def test_calibration_takes_probabilities_as_they_are(task: Task) -> None:
    rated = evolve(task, metrics=ACCURACY_METRICS)
    shares = {VALIDATION: np.eye(2)[task.splits[VALIDATION].labels] * 0.8 + 0.1}
    assert score_metrics(shares, rated, probabilities=True)["validation/brier"] == pytest.approx(2 * 0.1**2)
    assert score_metrics(shares, rated)["validation/brier"] > 0.1


def test_outputs_are_scored_split_by_split(task: Task) -> None:
    perfect = outputs(task, np.float32)
    metrics = score_metrics({**perfect, SELECT: -perfect[SELECT]}, task)
    assert metrics == {
        **{f"select/{name}": 0.0 for name in ("score", "accuracy")},
        **{f"validation/{name}": 100.0 for name in ("score", "accuracy")},
    }


def test_outputs_of_other_splits_are_refused(task: Task, artifact: Artifact) -> None:
    with pytest.raises(
        UserError, match=r"^stage student has no logits\.safetensors; only stages with a model or a merg"
    ):
        read_scores(artifact, task)
    write_logits({SELECT: outputs(task, np.float32)[SELECT]}, artifact.folder)
    with pytest.raises(UserError, match=r"^stage student has no outputs on validation in its logits\.safetensors$"):
        read_logits(artifact, task)
    write_logits({**outputs(task, np.float32), SELECT: np.zeros((3, 2), np.float32)}, artifact.folder)
    with pytest.raises(UserError, match=r"outputs of shape \(3, 2\) on select in its .*, task 'tiny' needs \(32, 2\)$"):
        read_logits(artifact, task)
