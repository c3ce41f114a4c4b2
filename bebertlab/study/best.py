"""The best point of a study, and how far a study is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from bebertlab.artifacts.baselines import learned
from bebertlab.errors import UserError
from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.ranking import rank_points
from bebertlab.study.journal import read_records
from bebertlab.study.stored_study import StoredStudy


@frozen(kw_only=True)
class BestPoint:
    """The point with the best mean of the primary objective."""

    parameters: Mapping[str, Any]  #: searched paths to values
    trials: tuple[TrialRecord, ...]  #: the complete ones, one per seed, by seed
    values: tuple[float, ...]  #: means of the objectives over seeds
    points: int  #: number of points with complete trials, of which this one is the best
    trial: TrialRecord  #: the one with the best value of the primary objective


@frozen(kw_only=True)
class StudyStatus:
    """The state of a study in its folder."""

    state: str  #: complete, failed, incomplete or running
    complete: int  #: trials
    failed: int  #: trials
    trials: int  #: planned, or known so far
    best: float | None = None  #: mean of the primary objective over seeds at the best point


def study_status(study: StoredStudy) -> StudyStatus:
    """How far a study is, from its journal.

    Raises:
        SetupError: the journal is corrupt or of another format.
    """
    trials = read_records(study.folder)
    states = [trial.state for trial in trials]
    complete, failed = states.count(TrialState.COMPLETE), states.count(TrialState.FAILED)
    total = max(study.planned or 0, len(trials))
    best = find_best(study, trials)
    return StudyStatus(
        state=_state(study, states, total),
        complete=complete,
        failed=failed,
        trials=total,
        best=best.values[0] if best else None,
    )


def find_best(study: StoredStudy, trials: Sequence[TrialRecord]) -> BestPoint | None:
    """The best point of a study by the mean of its primary objective over seeds.

    None without complete trials, and where nothing was learned.
    """
    points = rank_points(study.objectives, trials, study.constraints)
    if not points or learned(trials).nothing:
        return None
    best, objective = points[0], study.objectives[0]
    choose = max if objective.maximize else min
    return BestPoint(
        parameters=best.parameters,
        trials=tuple(sorted(best.trials, key=lambda trial: trial.seed)),
        values=best.values,
        points=len(points),
        trial=choose(best.trials, key=lambda trial: trial.metrics[objective.metric]),
    )


def choose_best(study: StoredStudy, seed: int | None = None) -> BestPoint:
    """The best point of a study, with the trial of a seed instead of the best one.

    Raises:
        UserError: no trial is complete, nothing was learned, or no trial of the best point has this seed.
    """
    trials = read_records(study.folder)
    best = find_best(study, trials)
    if best is None:
        raise UserError(f"study {study.label} {_why_no_best(study, trials)}")
    if seed is None:
        return best
    seeds = {trial.seed: trial for trial in best.trials}
    if seed not in seeds:
        raise UserError(f"the best point has no complete trial with seed {seed}; known: {', '.join(map(str, seeds))}")
    return evolve(best, trial=seeds[seed])


def _why_no_best(study: StoredStudy, trials: Sequence[TrialRecord]) -> str:
    outcome = learned(trials)
    if not outcome.nothing and any(trial.state is TrialState.COMPLETE for trial in trials):
        return f"has no point that keeps its constraints: {', '.join(map(str, study.constraints))}"
    if not outcome.nothing:
        return "has no complete trial yet"
    notes = " ".join((*outcome.reasons, *outcome.remarks(is_smoke=study.is_smoke)))
    return f"has no best point. {notes} A single trial is chosen by its number, e.g. {study.label}/{trials[0].id}"


def _state(study: StoredStudy, states: Sequence[TrialState], total: int) -> str:
    if study.is_running:
        return "running"
    finished = states.count(TrialState.COMPLETE) + states.count(TrialState.FAILED)
    if finished < total or not total:
        return "incomplete"
    return "failed" if TrialState.FAILED in states else "complete"
