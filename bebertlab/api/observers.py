"""Events and records that observers of a study receive."""

from __future__ import annotations

from bebertlab.interfaces.events import (
    PlannedStage,
    Question,
    StageEvent,
    StageFinished,
    StageProgress,
    StageResult,
    StageStarted,
    StudyRecord,
    TrialRecord,
    TrialState,
)

__all__ = [
    "PlannedStage",
    "Question",
    "StageEvent",
    "StageFinished",
    "StageProgress",
    "StageResult",
    "StageStarted",
    "StudyRecord",
    "TrialRecord",
    "TrialState",
]
