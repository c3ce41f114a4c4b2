"""The driver with a journal on disk and simulated workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.interfaces.events import (
    PlannedStage,
    StageFinished,
    StageResult,
    StageStarted,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from bebertlab.interfaces.sampler import Objective, SearchDimension
from bebertlab.registry.hookspecs import hookimpl, plugin_manager
from bebertlab.registry.observers import Observers
from bebertlab.store.disk import DiskFull
from bebertlab.study.driver import LOSSES, Candidate, Driver, Limits, choose, error_file
from bebertlab.study.executors.base import Executor, TrialSource
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.journal import open_journal, read_records
from bebertlab.study.messages import JobDefaults, PlannedTrial, TrialJob, TrialOutcome
from bebertlab.study.study import Study
from bebertlab_samplers.grid import GridSampler
from bebertlab_samplers.optuna_samplers import RandomSampler, TpeSampler

METRIC = "validation/score"


def study(**changes: Any) -> Study:  # noqa: ANN401 - fields of a study
    search = {"head.size": SearchDimension(choice=(1, 2, 4))}
    defaults: dict[str, Any] = {"name": "s", "recipe": {}, "search": search, "seeds": (0, 1), "sampler": GridSampler()}
    return Study(**defaults | changes)


def plan(record: TrialRecord) -> PlannedTrial:
    """A first stage for each seed, then a chain of `size` members, and an evaluation."""
    size = record.parameters["head.size"]
    members = [f"member{index}-{record.seed}" for index in range(int(size))]
    keys = [f"trunk-{record.seed}", *members, f"score{size}-{record.seed}"]
    stages = tuple(PlannedStage(stage=key, stage_kind="fake", key=key) for key in keys)
    return PlannedTrial(recipe={"keys": keys}, stages=stages, result=keys[-1])


class Log:
    """An observer that records events."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @hookimpl
    def bebertlab_trial_started(self, study: StudyRecord, trial: TrialRecord) -> None:
        self.lines.append(f"t{trial.number} {trial.state} {len(trial.planned)}")

    @hookimpl
    def bebertlab_stage_started(self, event: StageStarted) -> None:
        self.lines.append(f"t{event.trial} {event.stage} started")

    @hookimpl
    def bebertlab_stage_finished(self, event: StageFinished) -> None:
        self.lines.append(f"t{event.trial} {event.stage} {'stored' if event.stored else 'finished'}")

    @hookimpl
    def bebertlab_trial_finished(self, study: StudyRecord, trial: TrialRecord) -> None:
        self.lines.append(f"t{trial.number} {trial.state}")


class Workers(Executor):
    """Simulates a number of workers; in each round every one of them builds one stage."""

    def __init__(self, workers: int = 1, store: set[str] | None = None) -> None:
        self.workers = workers
        self.store = set() if store is None else store
        self.made: list[str] = []
        self.broken: dict[str, str] = {}
        self.deadly: dict[str, int] = {}
        self.interrupt_after: int | None = None
        self.waits = 0
        self.warnings: list[str] = []

    def run(self, host: TrialSource, interrupts: Interrupts) -> None:
        running: dict[int, Iterator[None]] = {}
        while not host.is_done():
            while len(running) < self.workers and (job := host.next_job()) is not None:
                running[job.number] = self.work(job, host)
            assert running, "nothing runs and nothing is handed out, but the host is not done"
            for number, worker in list(running.items()):
                if next(worker, "end") == "end":
                    del running[number]

    def work(self, job: TrialJob, host: TrialSource) -> Iterator[None]:
        number = job.number
        ended: list[StageResult] = []
        for key in job.recipe["keys"]:
            if self.interrupt_after == len(self.made):
                raise KeyboardInterrupt
            if self.deadly.get(key, 0) > 0:
                self.deadly[key] -= 1
                return host.on_lost(number, "its worker died")
            result = StageResult(stage=key, stage_kind="fake", key=key, stored=key in self.store)
            if key not in self.store:
                host.on_event(StageStarted(stage=key, stage_kind="fake", key=key, trial=number))
                if key in self.broken:
                    return host.on_finished(number, outcome(ended, error=self.broken[key], failed_key=key))
                self.waits += key in self.made
                self.made.append(key)
                yield
                self.store.add(key)
            ended.append(result)
            host.on_event(StageFinished.of(result, number))
        return host.on_finished(number, evolve(outcome(ended), warnings=tuple(self.warnings)))


def outcome(stages: list[StageResult], error: str | None = None, failed_key: str | None = None) -> TrialOutcome:
    return TrialOutcome(
        state=TrialState.FAILED if error else TrialState.COMPLETE,
        metrics={} if error else {METRIC: float(len(stages))},
        error=error,
        traceback=error and f"Traceback: {error}",
        failed_key=failed_key,
        seconds=1.0,
        stages=tuple(stages),
    )


@contextmanager
def driving(
    folder: Path,
    stored: Callable[[str], bool] = lambda key: False,
    of: Study | None = None,
    observer: object = None,
    limits: Limits | None = None,
    **defaults: Any,  # noqa: ANN401 - of the jobs
) -> Iterator[Driver]:
    of = of or study()
    manager = plugin_manager()
    if observer is not None:
        manager.register(observer)
    with open_journal(of, folder) as journal:
        record = StudyRecord(
            name="s",
            digest="",
            description="",
            folder=folder,
            work=folder,
            identity={},
            resolved={},
            objectives=(Objective(metric=METRIC),),
            axes={},
            seeds=of.seeds,
        )
        yield Driver(
            study=record,
            journal=journal,
            defaults=JobDefaults(metrics=(METRIC,), store=folder / "store", **defaults),
            limits=limits or Limits(),
            observers=Observers(manager),
            plan=plan,
            stored=stored,
        )


def run(folder: Path, workers: Workers, **arguments: Any) -> None:  # noqa: ANN401 - see driving
    with driving(folder, workers.store.__contains__, **arguments) as driver:
        driver.run(workers, Interrupts())


def states(folder: Path) -> list[str]:
    return [record.state.value for record in read_records(folder)]


def test_all_trials_run_and_observers_are_notified_in_order(tmp_path: Path) -> None:
    log = Log()
    run(tmp_path, Workers(), observer=log, of=study(search={"head.size": SearchDimension(choice=(1,))}, seeds=(0,)))
    assert log.lines == [
        "t0 running 3",
        *(f"t0 {key} {what}" for key in ("trunk-0", "member0-0", "score1-0") for what in ("started", "finished")),
        "t0 complete",
    ]
    (record,) = read_records(tmp_path)
    assert (record.metrics, record.seconds, len(record.stages)) == ({METRIC: 3.0}, 1.0, 3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_stage_is_built_once_with_any_number_of_workers(tmp_path: Path, count: int) -> None:
    workers = Workers(count)
    run(tmp_path, workers)
    assert states(tmp_path) == ["complete"] * 6
    assert sorted(set(workers.made)) == sorted(workers.store)
    if count < 3:  # two seeds: two workers need never wait for each other
        assert len(workers.made) == len(set(workers.made)) == 2 * (1 + 4 + 3)


def test_a_full_disk_stops_the_run_without_failed_trials(tmp_path: Path) -> None:
    class Full(Workers):
        def work(self, job: TrialJob, host: TrialSource) -> Iterator[None]:
            if "member3-0" not in job.recipe["keys"]:
                return (yield from super().work(job, host))
            return host.on_finished(job.number, evolve(outcome([], error="the work folder is full: w"), disk_full=True))

    with pytest.raises(DiskFull, match="the work folder is full: w"):
        run(tmp_path, Full())
    assert set(states(tmp_path)) == {"waiting"}
    run(tmp_path, Workers())
    assert states(tmp_path) == ["complete"] * 6


def test_an_interrupted_run_is_continued(tmp_path: Path) -> None:
    workers = Workers(2)
    workers.interrupt_after = 9
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, workers)
    assert set(states(tmp_path)) == {"waiting"}
    workers.interrupt_after = None
    run(tmp_path, workers)
    assert states(tmp_path) == ["complete"] * 6


def test_a_failed_stage_fails_only_the_trials_that_need_it(tmp_path: Path) -> None:
    workers = Workers()
    workers.broken = {"member1-0": "member 1: loss is nan"}
    log = Log()
    run(tmp_path, workers, observer=log)
    records = read_records(tmp_path)
    assert states(tmp_path) == ["complete", "complete", "failed", "complete", "failed", "complete"]
    assert records[4].error == records[2].error == "member 1: loss is nan"
    assert log.lines.count("t4 member1-0 started") == 1
    assert "t2 member1-0 started" not in log.lines
    assert {"t2 running 0", "t2 failed"} <= set(log.lines)
    assert error_file(tmp_path, 4).read_text() == "Traceback: member 1: loss is nan"


def test_a_warning_of_every_worker_is_shown_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers()
    workers.warnings = ["fp32 is faster", "the cache is damaged"]
    with caplog.at_level("WARNING"):
        run(tmp_path, workers)
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == workers.warnings


def test_fail_fast_starts_no_further_trials(tmp_path: Path) -> None:
    workers = Workers()
    workers.broken = {"member0-0": "broken"}
    run(tmp_path, workers, limits=Limits(fail_fast=True))
    assert states(tmp_path) == ["waiting", "waiting", "waiting", "waiting", "failed", "waiting"]


def test_max_trials_limits_the_started_trials(tmp_path: Path) -> None:
    workers = Workers(2)
    for count in (2, 4, 6, 6):
        run(tmp_path, workers, limits=Limits(max_trials=2))
        assert states(tmp_path).count("complete") == count


def test_a_dead_worker_is_replaced_and_its_trial_fails_after_retries(tmp_path: Path) -> None:
    workers = Workers(2)
    workers.deadly = {"score4-0": LOSSES - 1, "score4-1": LOSSES}
    run(tmp_path, workers)
    assert states(tmp_path) == ["complete"] * 5 + ["failed"]
    assert read_records(tmp_path)[5].error == f"its worker died, {LOSSES} times"


def test_the_last_trial_is_restarted_when_its_worker_dies(tmp_path: Path) -> None:
    workers = Workers()
    workers.deadly = {"score1-0": 1}
    run(
        tmp_path,
        workers,
        of=study(search={"head.size": SearchDimension(choice=(1,))}, seeds=(0,)),
        limits=Limits(max_trials=1),
    )
    assert states(tmp_path) == ["complete"]


def test_batches_are_sampled_and_run_in_turn(tmp_path: Path) -> None:
    drawn = study(search={"head.size": SearchDimension(integer=(1, 9))}, sampler=TpeSampler(trials=5, batch=2))
    run(tmp_path, Workers(3), of=drawn)
    assert states(tmp_path) == ["complete"] * 10


def test_a_sampled_point_that_cannot_be_planned_fails_alone(tmp_path: Path) -> None:
    def picky(record: TrialRecord) -> PlannedTrial:
        if record.parameters["head.size"] == 2:
            raise UserError("head: size 2\n  is odd")
        return plan(record)

    drawn = study(
        search={"head.size": SearchDimension(integer=(1, 3))},
        sampler=RandomSampler(trials=3),
        seeds=(0,),
    )
    with driving(tmp_path, of=drawn) as driver:
        driver._plan = picky
        driver.run(Workers(), Interrupts())
    failed = {record.parameters["head.size"]: record.error for record in read_records(tmp_path)}
    assert failed == {1: None, 2: "head: size 2 is odd", 3: None}


def test_stages_built_meanwhile_do_not_block_a_trial(tmp_path: Path) -> None:
    def shared(record: TrialRecord) -> PlannedTrial:
        keys = {1: "abcd", 2: "abx", 4: "cy"}[record.parameters["head.size"]]
        stages = tuple(PlannedStage(stage=key, stage_kind="fake", key=key) for key in keys)
        return PlannedTrial(recipe={}, stages=stages, result=keys[-1])

    handed_out: list[TrialJob | None] = []

    class AsksForJobs(Executor):
        def run(self, host: TrialSource, interrupts: Interrupts) -> None:
            first = host.next_job()
            for key in "ab":
                host.on_event(StageFinished(stage=key, stage_kind="fake", key=key))
            handed_out.extend([first, host.next_job()])

    with driving(tmp_path, of=study(seeds=(0,))) as driver:
        driver._plan = shared
        driver.run(AsksForJobs(), Interrupts())
    assert [job and job.number for job in handed_out] == [0, 1]


def test_a_trial_that_succeeds_again_loses_its_traceback(tmp_path: Path) -> None:
    workers, alone = Workers(), study(search={"head.size": SearchDimension(choice=(1,))}, seeds=(0,))
    workers.broken = {"trunk-0": "broken"}
    run(tmp_path, workers, of=alone)
    assert error_file(tmp_path, 0).exists()
    workers.broken = {}
    with open_journal(alone, tmp_path) as journal:
        journal.again(0)
    run(tmp_path, workers, of=alone)
    assert not error_file(tmp_path, 0).exists()
    assert states(tmp_path) == [TrialState.COMPLETE]


def waiting(**missing: str) -> list[Candidate]:
    return [Candidate(number=int(name[1:]), missing=frozenset(keys)) for name, keys in missing.items()]


def test_two_workers_get_trials_with_few_common_stages() -> None:
    trials = waiting(t0="axy", t1="bx", t2="ax")
    assert choose(trials, set()) == 0
    assert choose(trials[1:], {"a", "x", "y"}) == 1  # one common stage instead of two


def test_the_longest_trial_starts_first_then_the_lowest_number() -> None:
    assert choose(waiting(t3="a", t4="abc", t5="bcd"), set()) == 4


def test_a_trial_that_must_wait_is_started_if_there_is_no_other() -> None:
    assert choose(waiting(t0="ab", t1="abc"), {"a", "b", "c"}) == 0


keys = st.sets(st.sampled_from("abcdef"))


@given(st.dictionaries(st.integers(0, 50), keys, min_size=1), keys)
def test_the_schedule_does_not_depend_on_the_order_of_candidates(missing: dict[int, set[str]], busy: set[str]) -> None:
    trials = [Candidate(number=number, missing=frozenset(keys)) for number, keys in missing.items()]
    assert choose(trials, busy) == choose(trials[::-1], busy)
