"""What a report is made of: the trials grouped and the questions answered."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from bebertlab.artifacts.baselines import Learned, learned
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.report.answers import Answer, answer
from bebertlab.report.equivalence import ties
from bebertlab.report.labels import count
from bebertlab.report.points import Point, points, with_values
from bebertlab.report.tables import score_places

_NOTHING = "nothing was learned that a comparison could rest on"


@frozen(kw_only=True, eq=False)
class Material:
    """Everything that sections are made of."""

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    points: tuple[Point, ...]
    answers: tuple[Answer, ...]
    places: int
    learned: Learned

    @property
    def ties(self) -> frozenset[int]:
        """Numbers of the points that are not shown to be worse than the best; none where nothing was learned."""
        return frozenset() if self.learned.nothing else ties(self.study, self.points)

    @property
    def constant(self) -> list[Point]:
        """Points of which some model gives (nearly) the same answer to every text."""
        return [
            point
            for point in self.points
            if any(trial.number in self.learned.constant for trial in point.trials.values())
        ]

    @property
    def scored(self) -> list[Point]:
        """Points with a score, best first."""
        return [point for point in self.points if point.score is not None]


def material(study: StudyRecord, trials: Sequence[TrialRecord]) -> Material:
    """Group the trials and answer the questions."""
    study = with_values(study, trials)
    outcome = learned(trials)
    return Material(
        study=study,
        trials=tuple(trials),
        points=points(study, trials),
        answers=tuple(
            Answer(question=question, obstacle=_NOTHING) if outcome.nothing else answer(study, question, trials)
            for question in study.questions
        ),
        learned=outcome,
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
