from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bebertlab.interfaces.events import StageFinished, StageProgress, StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.sampler import Objective


def test_a_finished_event_is_a_result_with_its_trial() -> None:
    result = StageResult(
        stage="a", stage_kind="k", key="f", stored=True, seconds=1.5, metrics={"m": 1.0}, warnings=("w",)
    )
    event = StageFinished.of(result, 3)
    assert (event.trial, event.metrics, event.result) == (3, {"m": 1.0}, result)


def test_a_trial_has_a_short_name() -> None:
    assert TrialRecord(number=7, name="t007 a=1", parameters={}, seed=0, state=TrialState.WAITING).id == "t007"


def test_the_first_objective_of_a_study_is_the_primary_one() -> None:
    objectives = (Objective(metric="size", goal="minimize"), Objective(metric="score"))
    study = StudyRecord(
        name="s",
        digest="",
        description="",
        folder=Path("f"),
        work=Path("w"),
        identity={},
        resolved={},
        objectives=objectives,
        axes={},
        seeds=(0,),
    )
    assert (study.objective, study.maximize) == ("size", False)


def test_what_observers_receive_cannot_be_changed() -> None:
    values = {"train/loss": 0.5}
    event = StageProgress(stage="a", stage_kind="k", key="f", values=values)
    trial = TrialRecord(number=0, name="t", parameters={"a": 1}, seed=0, state=TrialState.WAITING, metrics={"m": 1.0})
    finished = StageFinished(stage="a", stage_kind="k", key="f", metrics={"m": 1.0})
    mappings: tuple[Any, ...] = (event.values, trial.parameters, trial.metrics, finished.metrics)
    for mapping in mappings:
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["x"] = 0.0
    values["train/loss"] = 9.0
    assert event.values == {"train/loss": 0.5}
