"""What observers of a study are given."""

from __future__ import annotations

from bebertlab.interfaces.events import Question, StageEvent, StagePhase, StudyRecord, TrialRecord, TrialState

__all__ = [
    "Question",
    "StageEvent",
    "StagePhase",
    "StudyRecord",
    "TrialRecord",
    "TrialState",
]
