"""Trial records as plain data and back, for the journal and for workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from bebertlab.interfaces.events import StageEvent, StagePhase, TrialRecord, TrialState
from bebertlab.study.space import Trial


def new_record(trial: Trial) -> TrialRecord:
    """The record of a trial that waits."""
    return TrialRecord(
        number=trial.number, name=trial.name, parameters=trial.point, seed=trial.seed, state=TrialState.WAITING
    )


def dump_record(record: TrialRecord) -> dict[str, Any]:
    """A record as plain data."""
    return {
        **_fields(record),
        "parameters": dict(record.parameters),
        "state": record.state.value,
        "metrics": dict(record.metrics),
        "stages": [dump_event(event) for event in record.stages],
    }


def load_record(data: Mapping[str, Any]) -> TrialRecord:
    """A record from its plain data."""
    stages = tuple(load_event(event) for event in data["stages"])
    return TrialRecord(**{**data, "state": TrialState(data["state"]), "stages": stages})


def dump_event(event: StageEvent) -> dict[str, Any]:
    """A stage event as plain data."""
    return {
        **_fields(event),
        "phase": event.phase.value,
        "metrics": dict(event.metrics),
        "warnings": list(event.warnings),
    }


def load_event(data: Mapping[str, Any]) -> StageEvent:
    """A stage event from its plain data."""
    return StageEvent(**{**data, "phase": StagePhase(data["phase"]), "warnings": tuple(data["warnings"])})


def _fields(value: StageEvent | TrialRecord) -> dict[str, Any]:
    return {a.name: getattr(value, a.name) for a in attrs.fields(type(value))}
