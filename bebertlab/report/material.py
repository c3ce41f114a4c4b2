"""What a report is made of: the trials grouped and the questions answered."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.report.answers import Answer, answer
from bebertlab.report.labels import count
from bebertlab.report.rows import Point, points, with_values
from bebertlab.report.tables import score_places


@frozen(kw_only=True, eq=False)
class Material:
    """Everything that sections are made of."""

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    points: tuple[Point, ...]
    answers: tuple[Answer, ...]
    places: int

    @property
    def scored(self) -> list[Point]:
        """Points with a score, best first."""
        return [point for point in self.points if point.score is not None]


def material(study: StudyRecord, trials: Sequence[TrialRecord]) -> Material:
    """Group the trials and answer the questions."""
    study = with_values(study, trials)
    return Material(
        study=study,
        trials=tuple(trials),
        points=points(study, trials),
        answers=tuple(answer(study, question, trials) for question in study.questions),
        places=score_places(study, trials),
    )


def standing(trials: Sequence[TrialRecord], planned: int | None) -> str:
    """How many trials are complete, failed and left.

    >>> standing([], 4)
    '0 of 4 trials complete, 4 unfinished'
    """
    complete = sum(trial.state is TrialState.COMPLETE for trial in trials)
    failed = sum(trial.state is TrialState.FAILED for trial in trials)
    every = max(planned or 0, len(trials))
    left = every - complete - failed
    said = f"{complete:,} of {count(every, 'trial')} complete"
    return said + (f", {failed:,} failed" if failed else "") + (f", {left:,} unfinished" if left else "")
