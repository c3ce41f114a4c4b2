"""Ray with real workers; one session for all tests that can share it, since starting it takes seconds."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import SetupError
from bebertlab.interfaces.events import StageEvent, StudyRecord, TrialRecord, TrialState
from bebertlab.pipeline.plan import ComputeSettings
from bebertlab.study.context import StudyContext
from bebertlab.study.driver import Limits
from bebertlab.study.executors.session import EventFiles
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.journal import read_records
from bebertlab.study.messages import JobDefaults, TrialJob, TrialOutcome
from bebertlab.study.planner import Planner, planned, recipe_at
from bebertlab.study.run import Finished, Workers, run_study

if TYPE_CHECKING:
    from tests.study.conftest import Files

# Ray leaves the closing of its files and processes to the garbage collector, and warns at its import
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SETS = ("trunk.sleep=0.5", "members.sleep=0.3", "seeds=[0, 1]")


def run(files: Files, kind: str, work: str, *sets: str) -> Finished:
    context = StudyContext(files.read(*sets), Path(work))
    workers = Workers(kind=kind, jobs=2 if kind == "ray" else 1, threads=1, device="cpu")
    return run_study(context, workers, report, Limits())


def report(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> tuple[Path, ...]:
    return ()


def scores(finished: Finished) -> list[dict[str, float]]:
    """All metrics except those in seconds."""
    return [{k: v for k, v in trial.metrics.items() if "cost" not in k} for trial in finished.trials]


def kill_a_worker(files: Files, killed: list[int]) -> None:
    """Kill -9 the process that runs the second stage."""
    log = files.folder / "ran.log"
    while not log.exists() or len(log.read_text().splitlines()) < 3:
        time.sleep(0.05)
    killed.append(int(log.read_text().splitlines()[-1].split()[-1]))
    os.kill(killed[0], signal.SIGKILL)


def test_processes_that_start_too_slowly_are_named_in_one_line(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def time_out(**options: object) -> None:
        raise Exception("The current node timed out during startup.\nMore of it")  # what Ray raises

    monkeypatch.setattr(ray, "init", time_out)
    with pytest.raises(SetupError) as raised:
        run(files, "ray", "work")
    message = "Ray does not start: The current node timed out during startup.; --executor local works without it"
    assert str(raised.value) == message
    (folder,) = (files.folder / "work" / "studies").iterdir()
    assert {record.state for record in read_records(folder)} == {TrialState.WAITING}


@pytest.mark.kill
def test_two_workers_one_of_them_killed_give_the_results_of_one_process(
    files: Files, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(files.folder / "home"))
    import bebertlab.study.executors.ray  # noqa: F401 # the import alone sets variables, and may

    environment = dict(os.environ)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(files, killed), daemon=True)
    killer.start()
    finished = run(files, "ray", "work", *SETS)
    killer.join()
    assert [trial.state for trial in finished.trials] == [TrialState.COMPLETE] * 14
    lines = (files.folder / "ran.log").read_text().splitlines()
    workers = {line.split()[-1] for line in lines}
    assert str(killed[0]) in workers
    assert str(os.getpid()) not in workers
    assert len(workers) >= 2
    distinct = {stage.key for trial in finished.trials for stage in trial.stages}
    assert len(distinct) <= len(lines) <= len(distinct) + 1  # only the stage of the killed worker ran again
    assert not (files.folder / "home" / ".ray").exists()  # the token of the session is our own
    assert dict(os.environ) == environment
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    (files.folder / "ran.log").unlink()
    assert scores(run(files, "local", "other", "seeds=[0, 1]")) == scores(finished)


class Trials:
    """A source of some trials that records how they ended."""

    def __init__(self, jobs: list[TrialJob]) -> None:
        self.jobs = jobs
        self.errors: list[str] = []

    def next_job(self) -> TrialJob | None:
        return self.jobs.pop(0) if self.jobs else None

    def is_done(self) -> bool:
        return not self.jobs

    def on_event(self, event: StageEvent) -> None:
        pass

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        self.errors.append(str(outcome.error))

    def on_lost(self, number: int, error: str) -> None:
        raise AssertionError(error)


def test_a_worker_sees_the_named_gpu_only_and_uses_it(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    from bebertlab.study.executors.ray import RayExecutor

    source = files.read("search={}", "exclude=[]", "questions=[]", "trunk.fault=gpu")
    recipe = recipe_at(source.study, {}, 0, source.plugins.registry)
    jobs = []
    for number, device in enumerate(("cpu", "cuda:1")):
        plan = Planner(source.plugins, ComputeSettings(device=device)).plan(recipe)
        plugins = tuple(map(Path, source.study.plugins))
        defaults = JobDefaults(metrics=(), store=files.folder / "store", plugins=plugins, device=device)
        jobs.append(defaults.job(number, planned(plan, recipe)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    trials = Trials(jobs)
    with Interrupts() as interrupts:
        RayExecutor(jobs=1, gpus=1, device="cuda:1").run(trials, interrupts)
    assert trials.errors[0] == "stage trunk (fake): sees GPU 6"
    assert trials.errors[1].startswith("device 'cuda:0' cannot be used")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,6"


class Broken:
    """A source that always fails."""

    def next_job(self) -> TrialJob | None:
        raise ZeroDivisionError

    def is_done(self) -> bool:
        return False

    def on_event(self, event: StageEvent) -> None:
        raise ZeroDivisionError

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        raise ZeroDivisionError

    def on_lost(self, number: int, error: str) -> None:
        raise ZeroDivisionError


def test_errors_of_the_source_and_ctrl_c_leave_the_tune_loop(tmp_path: Path) -> None:
    from bebertlab.study.executors.ray import Bridge, Leave, PollCallback, SourceSearcher

    with Interrupts() as interrupts:
        bridge = Bridge(Broken(), interrupts, EventFiles(tmp_path))
        with pytest.raises(Leave):  # not an Exception: Tune would continue
            SourceSearcher(bridge).suggest("a")
        assert isinstance(bridge.error, ZeroDivisionError)
        with interrupts.shielded():
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(Leave):
                PollCallback(bridge).on_step_begin(1, [])
        assert isinstance(bridge.error, KeyboardInterrupt)


def test_pickled_objects_have_no_state(tmp_path: Path) -> None:
    from bebertlab.study.executors.ray import Bridge, PollCallback, SourceSearcher

    bridge = Bridge(Broken(), Interrupts(), EventFiles(tmp_path))
    for item in (SourceSearcher(bridge), PollCallback(bridge)):
        assert vars(pickle.loads(pickle.dumps(item))) == {}
