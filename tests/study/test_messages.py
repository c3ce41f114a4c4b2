from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.events import (
    PlannedStage,
    StageEvent,
    StageFinished,
    StageProgress,
    StageResult,
    StageStarted,
    TrialRecord,
    TrialState,
)
from bebertlab.study.messages import (
    JobDefaults,
    PlannedTrial,
    TrialJob,
    TrialOutcome,
    dump,
    dump_event,
    load,
    load_event,
)

RESULT = StageResult(
    stage="members.0", stage_kind="member", key="ff", seconds=0.1, metrics={"a": 0.1 + 0.2}, warnings=("cut",)
)
RECORD = TrialRecord(
    number=3,
    name="t003 a=1 seed=0",
    parameters={"a": 1, "b": {"kind": "twn"}, "c": [1.0, None]},
    seed=0,
    state=TrialState.FAILED,
    metrics={"validation/score": 0.1 + 0.2},
    error="a: b",
    seconds=1.5,
    device="cpu",
    planned=(PlannedStage(stage="merge", stage_kind="merge", key="f"),),
    stages=(RESULT,),
)
JOB = TrialJob(number=7, recipe={"task": "fake"}, result="b", metrics=("m",), store=Path("/s"), plugins=(Path("p.py"),))


@pytest.mark.parametrize("message", [RECORD, JOB, TrialOutcome(state=TrialState.COMPLETE, stages=(RESULT,))])
def test_messages_survive_json(message: object) -> None:
    assert load(json.loads(json.dumps(dump(message))), type(message)) == message


@pytest.mark.parametrize(
    "event",
    [
        StageStarted(stage="a", stage_kind="k", key="f", trial=3),
        StageProgress(stage="a", stage_kind="k", key="f", text="1/2", values={"train/loss": 0.5}, step=3, epoch=0.5),
        StageFinished.of(RESULT, 3),
    ],
)
def test_events_keep_their_type(event: StageEvent) -> None:
    loaded = load_event(json.loads(json.dumps(dump_event(event))))
    assert loaded == event
    assert type(loaded) is type(event)


def test_a_metric_may_be_nan() -> None:
    outcome = TrialOutcome(state=TrialState.COMPLETE, metrics={"loss": math.nan})
    assert math.isnan(load(json.loads(json.dumps(dump(outcome))), TrialOutcome).metrics["loss"])


def test_data_of_another_version_are_refused() -> None:
    with pytest.raises(UserError, match="unknown key"):
        load({**dump(RESULT), "phase": "finished"}, StageResult)


def test_a_finished_event_gives_back_the_result() -> None:
    assert StageFinished.of(RESULT, 3).result == RESULT


def test_a_job_has_the_trial_and_what_all_jobs_share() -> None:
    stages = tuple(PlannedStage(stage=key, stage_kind="fake", key=key) for key in ("a", "b"))
    planned = PlannedTrial(recipe={"task": "fake"}, stages=stages, result="b")
    assert JobDefaults(metrics=("m",), store=Path("/s"), plugins=(Path("p.py"),)).job(7, planned) == JOB
    assert planned.keys == {"a", "b"}
