"""Whole studies of fakes in this process."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.config.yaml import to_yaml
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.processors import Processors, processors
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.study.best import choose_best
from bebertlab.study.context import StudyContext
from bebertlab.study.driver import Limits
from bebertlab.study.executors.base import LocalExecutor
from bebertlab.study.journal import open_journal
from bebertlab.study.run import Finished, Workers, run_study
from bebertlab.study.stored_study import read_stored_study
from bebertlab.tracking.mlflow_runs import study_summary

if TYPE_CHECKING:
    from tests.study.conftest import Files

LOCAL = Workers(kind="local", jobs=1, threads=1, device="cpu")


class Log:
    """Records the events of a run."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.left: list[int] = []  # stages, after each trial

    @hookimpl
    def bebertlab_study_started(self, study: StudyRecord) -> None:
        self.lines.append(f"started {study.finished}/{study.planned}")

    @hookimpl
    def bebertlab_trial_started(self, study: StudyRecord, trial: TrialRecord) -> None:
        self.lines.append(f"t{trial.number}")

    @hookimpl
    def bebertlab_trial_finished(self, study: StudyRecord, trial: TrialRecord) -> None:
        self.left.append(len(study.missing))

    @hookimpl
    def bebertlab_study_finished(
        self, study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]
    ) -> None:
        self.lines.append(f"finished {len(trials)} {list(report)}")


def run(files: Files, *sets: str, limits: Limits | None = None, log: Log | None = None, work: str = "work") -> Finished:
    context = StudyContext(files.read(*sets), Path(work))
    if log is not None:
        context.observe(log)
    return run_study(context, LOCAL, lambda study, trials: (study.folder / "report.md",), limits or Limits())


def ran(files: Files) -> Counter[str]:
    """Stages and seeds that really ran, with how often."""
    log = files.folder / "ran.log"
    return Counter(line.rsplit(" ", 1)[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


def scores(finished: Finished) -> list[float]:
    return [trial.metrics["validation/score"] for trial in finished.trials]


def test_every_stage_runs_exactly_once(files: Files) -> None:
    log = Log()
    first = run(files, log=log)
    assert [trial.state for trial in first.trials] == [TrialState.COMPLETE] * 14
    assert ran(files).total() == len({stage.key for trial in first.trials for stage in trial.stages}) == 34
    assert log.lines[0] == "started 0/14"
    assert log.lines[-1] == f"finished 14 ['{first.study.folder}/report.md']"
    assert (first.study.folder / "study.yaml").read_text() == to_yaml(first.study.resolved)
    log = Log()
    before = ran(files)
    again = run(files, log=log)
    assert ran(files) == before
    assert log.lines == ["started 14/14", f"finished 14 ['{first.study.folder}/report.md']"]
    assert again.trials == first.trials


def test_a_complete_study_starts_no_worker(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    run(files)
    monkeypatch.setattr(Workers, "executor", lambda self, trials: pytest.fail("workers were started"))
    assert len(run(files).trials) == 14


def test_the_resolved_study_continues_the_same_journal(files: Files) -> None:
    finished = run(files, limits=Limits(max_trials=3))
    assert finished.count(TrialState.COMPLETE) == 3
    resolved = finished.study.folder / "study.yaml"
    files.path = files.folder / resolved
    log = Log()
    again = run(files, log=log)
    assert log.lines[0] == "started 3/14"
    assert again.study.folder == finished.study.folder
    assert again.count(TrialState.COMPLETE) == 14


def test_only_a_fixed_failure_runs_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAULT", str(files.folder / "broken"))
    (files.folder / "broken").touch()
    broken = run(files, "score.fault=mend", "seeds=[0]")
    assert broken.count(TrialState.FAILED) == 7
    assert {trial.error for trial in broken.trials} == {"stage score (fake): not fixed yet"}
    (files.folder / "broken").unlink()
    before = ran(files)
    fixed = run(files, "score.fault=mend", "seeds=[0]")
    assert fixed.count(TrialState.COMPLETE) == 7
    assert {name for name, count in (ran(files) - before).items() if count} == {"score 0"}
    assert scores(fixed) == scores(run(files, "score.fault=mend", "seeds=[0]", work="other"))


def test_a_failed_trial_does_not_affect_the_others(files: Files) -> None:
    finished = run(files, "trunk.fault=raise", "search.trunk.size=[1, 2]", "members.ensemble=bagging", "seeds=[0]")
    states = {(trial.parameters["trunk.size"], trial.state.value) for trial in finished.trials}
    assert states == {(1, "complete"), (2, "failed")}
    assert ran(files)["trunk 0"] == 2  # one for each size; the failed one is not tried for every trial that needs it


@pytest.mark.parametrize("error", ["none", "raise"])
def test_the_remaining_stages_reach_zero_even_where_trials_fail(files: Files, error: str) -> None:
    log = Log()
    run(files, f"trunk.fault={error}", "search.trunk.size=[1, 2]", "members.ensemble=bagging", "seeds=[0]", log=log)
    # for each size of the trunk, which is broken where it is 2: trunk, four members, and a score for 1, 2 and 4
    assert log.left == ([10, 4, 3, 2, 1, 0] if error == "none" else [10, 7, 6, 2, 1, 0])


def test_results_do_not_depend_on_interruptions(files: Files) -> None:
    whole = run(files, work="whole")
    for _ in range(7):
        parts = run(files, work="parts", limits=Limits(max_trials=2))
    assert scores(parts) == scores(whole)


def test_a_sampled_study_is_reproducible(files: Files) -> None:
    sets = [
        "sampler=tpe",
        "sampler.trials=6",
        "sampler.startup=2",
        "search={score.rate: {loguniform: [0.1, 10]}}",
        "exclude=[]",
        "questions=[]",
    ]
    whole = run(files, *sets, work="whole")
    for _ in range(4):
        parts = run(files, *sets, work="parts", limits=Limits(max_trials=3))
    assert len(whole.trials) == 12
    assert [trial.parameters for trial in parts.trials] == [trial.parameters for trial in whole.trials]
    other = run(files, *sets, "objective.metric=number", "objective.goal=minimize", work="other")
    seen = [[trial.parameters["score.rate"] for trial in study.trials] for study in (whole, other)]
    assert seen[0][:8] == seen[1][:8]  # a batch of four points with two seeds knows no results
    assert seen[0][8:] != seen[1][8:]
    assert scores(parts) == scores(whole)


def test_an_exhausted_space_completes_a_study_in_any_run(files: Files) -> None:
    sets = [
        "sampler=tpe",
        "sampler.trials=12",
        "search={members.size: {choice: [1, 2, 4]}}",
        "exclude=[]",
        "questions=[]",
    ]
    message = ("the search space has 3 points, and trials is 12: the space is used up after 3 of 12",)
    logs = [Log() for _ in range(3)]
    stopped = run(files, *sets, limits=Limits(max_trials=4), log=logs[0])
    whole, again = (run(files, *sets, log=log) for log in logs[1:])
    assert [log.lines[0] for log in logs] == ["started 0/6", "started 4/6", "started 6/6"]
    assert [item.study.planned for item in (stopped, whole, again)] == [6, 6, 6]
    assert [item.count(TrialState.COMPLETE) for item in (stopped, whole, again)] == [4, 6, 6]
    assert {item.study.warnings for item in (stopped, whole, again)} == {message}
    assert study_summary(stopped.study, stopped.trials, ())[2] == "KILLED"
    assert study_summary(whole.study, whole.trials, ())[2] == "FINISHED"
    assert StudyContext(files.read(*sets), Path("work")).observed().planned == 6


def test_a_sampled_point_that_cannot_run_does_not_stop_the_study(files: Files) -> None:
    sets = ["sampler=random", "sampler.trials=6", "exclude=[]", "seeds=[0]"]  # single of size 2 and 4 are among them
    first = run(files, *sets)
    failed = [trial for trial in first.trials if trial.state is TrialState.FAILED]
    assert 0 < len(failed) < len(first.trials) == 6
    assert "single has one member" in str(failed[0].error)
    again = run(files, *sets)
    assert again.trials == first.trials


def test_a_complete_trial_with_changed_keys_runs_again(files: Files) -> None:
    run(files)
    context = StudyContext(files.read(), Path("work"))
    with open_journal(context.study, context.folder) as journal:
        old = journal.records()[5]
        changed = evolve(old.stages[-1], key="0" * 64)  # as if a part's revision had been another one
        journal.again(5)
        journal.finish(evolve(old, stages=(*old.stages[:-1], changed), metrics={"validation/score": -1.0}))
    log = Log()
    finished = run(files, log=log)
    assert log.lines[:2] == ["started 13/14", "t5"]
    assert finished.trials[5].metrics == old.metrics


def test_points_that_cannot_run_are_reported_before_anything_runs(files: Files) -> None:
    files.write(exclude="exclude: []", **{"- {members.ensemble": ""})
    with pytest.raises(UserError, match=r"members\.ensemble=single members\.size=2: .*single has one member, not 2"):
        run(files)
    assert not ran(files)


def test_missing_data_are_reported_before_anything_runs(files: Files) -> None:
    parts = files.folder / "parts.py"
    text = parts.read_text().replace("UserError,", "UserError, SetupError,")
    parts.write_text(
        text.replace("    def load(", "    def load(self): raise SetupError('no data')\n\n    def loaded(")
    )
    with pytest.raises(SetupError, match=r"^no data$"):
        run(files)


def test_a_running_study_refuses_a_second_driver(files: Files) -> None:
    context = StudyContext(files.read(), Path("work"))
    with open_journal(context.study, context.folder), pytest.raises(SetupError, match=r"another process"):
        run(files)


def test_the_number_of_workers_follows_the_cores_and_is_checked() -> None:
    assert Workers.asked("local", None, threads=1, device="cpu").jobs == 1
    cores = processors().usable
    assert Workers.asked("ray", None, threads=1, device="cpu").jobs == cores
    assert Workers.asked("ray", None, threads=cores + 1, device="cpu").jobs == 1
    assert Workers.asked("ray", 5, threads=1, device="cpu").jobs == 5
    assert isinstance(LOCAL.executor(3), LocalExecutor)
    with pytest.raises(UserError, match="needs --executor ray"):
        Workers.asked("local", 2, threads=1, device="cpu")
    with pytest.raises(UserError, match="unknown device 'gpu'"):
        Workers.asked("local", None, threads=1, device="gpu")
    with pytest.raises(SetupError, match="no device cuda:99"):
        Workers.asked("local", None, threads=1, device="cuda:99")


def test_the_number_of_workers_respects_the_quota_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bebertlab.study.run.processors", lambda: Processors(cores=64, quota=2.5))
    assert Workers.asked("ray", None, threads=1, device="cpu").jobs == 3
    assert Workers.asked("ray", None, threads=2, device="cpu").jobs == 1


def test_the_resolved_study_is_written_completely(files: Files) -> None:
    finished = run(files, "search={}", "exclude=[]", "questions=[]", "seeds=[3]")
    assert to_yaml(finished.study.resolved) == (finished.study.folder / "study.yaml").read_text()
    assert to_yaml(["x"]).strip() == "[x]"


def test_the_first_result_without_the_metric_stops_the_study(files: Files) -> None:
    with pytest.raises(UserError, match=r"^objective: the result has no metric 'nmuber'; did you mean 'num"):
        run(files, "objective.metric=nmuber")
    assert sum(line.startswith("score") for line in ran(files).elements()) == 1
    assert run(files).count(TrialState.COMPLETE) == 14


@pytest.mark.parametrize("name", ["store", "store/locks", "store/temporary"])
def test_a_store_that_cannot_be_written_stops_the_study_before_anything_runs(files: Files, name: str) -> None:
    path = files.folder / "work" / name
    path.parent.mkdir(parents=True)
    path.touch()
    log = Log()
    with pytest.raises(
        SetupError, match=r"/?work/store.*: cannot create the folder: .*; choose another one with --work"
    ):
        run(files, log=log)
    assert not log.lines
    assert not ran(files)
    path.unlink()
    assert run(files).count(TrialState.COMPLETE) == 14


@pytest.mark.parametrize("sampler", ["tpe, startup: 3", "random", "qmc", "nsga2, population: 2", "gp, startup: 2"])
def test_raising_trials_extends_a_study(files: Files, sampler: str) -> None:
    def drawn(trials: int, work: str) -> Finished:
        return run(files, f"sampler={{kind: {sampler}, trials: {trials}, batch: 2}}", "seeds=[0]", work=work)

    short = drawn(3, "work")
    extended = drawn(6, "work")
    assert extended.study.folder == short.study.folder
    assert extended.trials[:3] == short.trials
    points = [trial.parameters for trial in extended.trials]
    assert len({str(dict(point)) for point in points}) == 6
    assert points == [trial.parameters for trial in drawn(6, "other").trials]


def test_fewer_trials_keep_the_points_of_a_study(files: Files) -> None:
    sampler = "sampler={kind: random, trials: %d}"
    run(files, sampler % 4, "seeds=[0]")
    finished = run(files, sampler % 2, "seeds=[0]")
    assert len(finished.trials) == 4


def test_a_constraint_is_checked_and_its_points_are_never_best(files: Files) -> None:
    with pytest.raises(UserError, match="objective or constraints: the result has no metric 'sise'"):
        run(files, "constraints=[{metric: sise, at_most: 1}]")
    free = run(files)
    limit = sorted(scores(free))[2]
    finished = run(files, f"constraints=[{{metric: validation/score, at_most: {limit}}}]")
    best = choose_best(read_stored_study(finished.study.folder))
    assert max(scores(free)) > best.values[0]
    assert best.values[0] <= limit
