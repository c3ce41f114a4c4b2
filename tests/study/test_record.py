from __future__ import annotations

import json

from bebertlab.interfaces.events import StageEvent, StagePhase, TrialRecord, TrialState
from bebertlab.study.record import dump_event, dump_record, load_event, load_record, new_record
from bebertlab.study.space import Trial


def test_a_record_survives_json() -> None:
    event = StageEvent(
        stage="members.0",
        stage_kind="member",
        key="ff",
        phase=StagePhase.STARTED,
        trial=3,
        seconds=0.1,
        text="a",
        warnings=("cut",),
    )
    record = TrialRecord(
        number=3,
        name="t003 a=1 seed=0",
        parameters={"a": 1, "b": {"kind": "twn"}},
        seed=0,
        state=TrialState.FAILED,
        metrics={"validation/score": 0.1 + 0.2},
        error="a: b",
        seconds=1.5,
        stages=(event,),
    )
    assert load_record(json.loads(json.dumps(dump_record(record)))) == record
    assert load_event(json.loads(json.dumps(dump_event(event)))) == event


def test_a_new_trial_waits() -> None:
    record = new_record(Trial(number=1, point={"a": 1}, seed=2))
    assert (record.state, record.name, record.parameters, record.seed) == ("waiting", "t001 a=1 seed=2", {"a": 1}, 2)
