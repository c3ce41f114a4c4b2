"""The data of a report: the points, the answers to the questions, and the best model."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from bebertlab.artifacts.baselines import Learned, learned
from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.report.answers import Answer, answer
from bebertlab.report.labels import count
from bebertlab.report.points import Point, finished_stages, not_shown_worse, objective, points, with_values
from bebertlab.report.tables import score_decimals

_NOTHING_LEARNED = "nothing was learned that a comparison could be based on"


@frozen(kw_only=True, eq=False)
class BestModel:
    """The trial with the best objective among those of the best point."""

    point: Point
    trial: TrialRecord
    stages: tuple[StageResult, ...]  #: finished, in the order of the plan, each with its key


@frozen(kw_only=True, eq=False)
class ReportData:
    """Everything that sections are written from."""

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    points: tuple[Point, ...]
    answers: tuple[Answer, ...]
    decimals: int  #: of the objective
    learned: Learned

    @property
    def not_shown_worse(self) -> frozenset[int]:
        """Numbers of the points that are not shown to be worse than the best; none where nothing was learned."""
        return frozenset() if self.learned.nothing else not_shown_worse(self.study, self.points)

    @property
    def constant(self) -> list[Point]:
        """Points with a model that predicts (nearly) the same for every text."""
        return [
            point
            for point in self.points
            if any(trial.number in self.learned.constant for trial in point.trials.values())
        ]

    @property
    def scored(self) -> list[Point]:
        """Points with a score, best first."""
        return [point for point in self.points if point.score is not None]

    @property
    def best(self) -> BestModel | None:
        """The best model; None where no point keeps the constraints or nothing was learned."""
        point = next((point for point in self.scored if not point.broken), None)
        if self.learned.nothing or point is None:
            return None
        choose = max if self.study.maximize else min
        trial = choose(point.trials.values(), key=lambda trial: objective(self.study, trial) or 0.0)
        return BestModel(point=point, trial=trial, stages=finished_stages(trial))


def collect(study: StudyRecord, trials: Sequence[TrialRecord]) -> ReportData:
    """Group the trials and answer the questions."""
    study = with_values(study, trials)
    outcome = learned(trials)
    return ReportData(
        study=study,
        trials=tuple(trials),
        points=points(study, trials),
        answers=tuple(
            Answer(question=question, obstacle=_NOTHING_LEARNED) if outcome.nothing else answer(study, question, trials)
            for question in study.questions
        ),
        learned=outcome,
        decimals=score_decimals(study, trials),
    )


def progress_label(trials: Sequence[TrialRecord], planned: int | None) -> str:
    """The numbers of complete, failed and remaining trials.

    >>> progress_label([], 4)
    '0 of 4 trials complete, 4 left'
    """
    complete = sum(trial.state is TrialState.COMPLETE for trial in trials)
    failed = sum(trial.state is TrialState.FAILED for trial in trials)
    total = max(planned or 0, len(trials))
    left = total - complete - failed
    parts = [f"{complete:,} of {count(total, 'trial')} complete"]
    parts += [f"{failed:,} failed"] if failed else []
    return ", ".join([*parts, *([f"{left:,} left"] if left else [])])
