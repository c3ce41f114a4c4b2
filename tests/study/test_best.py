from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.study.best import choose_best, find_best, study_status
from bebertlab.study.journal import open_journal, read_records
from tests.study.stored import run_little as run

if TYPE_CHECKING:
    from tests.study.conftest import Files


def test_the_state_of_a_study_follows_its_trials(files: Files) -> None:
    study = run(files, trials=1)
    status = study_status(study)
    assert (status.state, status.complete, status.failed, status.trials) == ("incomplete", 1, 0, 5)
    loaded = files.read(smoke=True).study
    with open_journal(loaded, study.folder):
        assert study_status(study).state == "running"
    run(files)
    status = study_status(study)
    assert (status.state, status.complete) == ("complete", 5)
    best = choose_best(study)
    assert status.best == best.values[0]


def test_a_lock_that_cannot_be_opened_does_not_hide_a_study(files: Files) -> None:
    stored = run(files, trials=1)
    lock = stored.folder / "journal.lock"
    lock.unlink()
    lock.mkdir()  # no process may open it for writing, as in a read-only folder
    assert study_status(stored).state == "incomplete"


def test_the_best_point_has_the_best_mean_and_its_best_trial(files: Files) -> None:
    study = run(files, "seeds=[0, 1]")
    trials = [trial for trial in read_records(study.folder) if trial.state is TrialState.COMPLETE]
    metric = study.objectives[0].metric
    means: dict[str, float] = {}
    for trial in trials:
        point = str(dict(trial.parameters))
        means[point] = means.get(point, 0.0) + trial.metrics[metric] / 2
    best = choose_best(study)
    assert best.values[0] == pytest.approx(max(means.values()))
    assert best.points == 5
    assert [trial.seed for trial in best.trials] == [0, 1]
    assert best.trial.metrics[metric] == max(trial.metrics[metric] for trial in best.trials)
    assert choose_best(study, 0).trial.seed == 0
    with pytest.raises(UserError, match="no complete trial with seed 7; known: 0, 1"):
        choose_best(study, 7)


def like_the_majority(trial: TrialRecord) -> TrialRecord:
    scores = {"validation/score": 50.0, "majority/validation_score": 50.0}
    return evolve(trial, metrics={**trial.metrics, **scores})


def test_no_point_is_best_where_nothing_was_learned(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    study = run(files, trials=2)
    trials = read_records(study.folder)
    assert find_best(study, trials) is not None
    same = tuple(like_the_majority(trial) for trial in trials)
    assert find_best(study, same) is None
    monkeypatch.setattr("bebertlab.study.best.read_records", lambda folder: same)
    with pytest.raises(UserError, match=r"little@\w+ has no best point. Nothing was learned: .*smoke run.*/t000"):
        choose_best(study)
    with pytest.raises(UserError, match=r"has no best point\. Nothing was learned: no model[^:]*A single trial"):
        choose_best(evolve(study, is_smoke=False))
    assert study_status(study).best is None


def test_a_study_without_complete_trials_has_no_best_point(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    study = run(files, trials=1)
    waiting = [evolve(trial, state=TrialState.WAITING) for trial in read_records(study.folder)]
    monkeypatch.setattr("bebertlab.study.best.read_records", lambda folder: waiting)
    with pytest.raises(UserError, match="has no complete trial yet"):
        choose_best(study)
