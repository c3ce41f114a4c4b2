"""The commands over studies of fakes (`tests/study/fakes.py`), in this process and in processes that are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bebertlab.cli.main import main

if TYPE_CHECKING:
    from tests.cli.conftest import Folder

SLOW = ("--set", "trunk.sleep=0.2", "--set", "members.sleep=0.2", "--set", "seeds=[0]")


@contextmanager
def started(command: list[str], until: Callable[[], bool]) -> Iterator[subprocess.Popen[str]]:
    """A process in a separate group, after a condition is met."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        end = time.monotonic() + 180
        while not until():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "it did not come so far"
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_validate_counts_trials(folder: Folder) -> None:
    result = folder.run("validate")
    assert (result.exit_code, result.stdout) == (0, "study.yaml: OK, 14 trials (7 points, 2 seeds)\n")
    result = folder.run("validate", "--smoke", "--set", "sampler=random", "--set", "sampler.trials=5")
    assert result.stdout == "study.yaml: OK, 5 trials (5 points drawn by the sampler random, 1 seed)\n"


@pytest.mark.parametrize("command", ["validate", "plan", "run", "status", "report"])
def test_every_command_prints_warnings_about_the_search_once(folder: Folder, command: str) -> None:
    sets = ("sampler=tpe", "sampler.trials=3", "search.score.rate={uniform: [1, 2]}", "exclude=[]", "seeds=[0]")
    arguments = [word for text in (*sets, "sampler.startup=4") for word in ("--set", text)]
    if command in ("status", "report"):
        folder.local("--max-trials", "1", *arguments)
    result = folder.local(*arguments) if command == "run" else folder.run(command, *arguments)
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        "warning: sampler tpe draws its first 4 points at random, and trials is 3: this is a random search; set"
        " sampler.startup and sampler.batch below trials"
    ]
    if command == "report":
        (page,) = (folder.path / "work" / "studies").glob("*/report.md")
        assert warnings[0].removeprefix("warning: ") in page.read_text()


def test_status_counts_trials_that_are_not_drawn_yet(folder: Folder) -> None:
    axis = ("members.ensemble=bagging", "search.score.rate={uniform: [1, 2]}")
    drawn = ("sampler=random", "sampler.trials=5", "sampler.batch=2", "seeds=[0]", *axis)
    arguments = [word for text in drawn for word in ("--set", text)]
    head = "little: 5 trials (5 points drawn by the sampler random, 1 seed); "
    assert folder.run("status", *arguments).stdout.startswith(f"{head}5 not drawn yet\n")
    result = folder.local("--max-trials", "1", *arguments)
    assert "4 trials left; continue with:" in result.stderr
    assert folder.run("status", *arguments).stdout.startswith(f"{head}1 waiting, 1 complete, 3 not drawn yet\n")
    assert json.loads(folder.run("status", *arguments, "--format", "json").stdout)["planned"] == 5


def test_unused_stages_are_listed(folder: Folder) -> None:
    aside = ("--set", "score.model=trunk", "--set", "result=score")
    message = "not run, as no result depends on them: members\n"
    assert folder.run("validate", *aside).stderr == message
    result = folder.run("plan", *aside)
    idle = [f"search: members.{option} changes nothing: " for option in ("ensemble", "size")]
    *warnings, last = result.stderr.splitlines(keepends=True)
    assert last == message
    assert [line.startswith(f"warning: {text}") for line, text in zip(warnings, idle, strict=True)] == [True, True]
    printed = json.loads(folder.run("plan", *aside, "--format", "json").stdout)
    assert printed["not_needed"] == ["members"]
    assert [line.startswith(text) for line, text in zip(printed["warnings"], idle, strict=True)] == [True, True]
    result = folder.local(*aside, "--set", "seeds=[0]")
    assert message in result.stderr
    assert {line.split()[0] for line in folder.ran()} == {"trunk", "score"}
    report = next((folder.path / "work").glob("studies/*/report.md")).read_text()
    assert "Not run, since no trial's result needs them: members." in report
    assert folder.run("validate").stderr == ""


def test_several_last_stages_need_a_result(folder: Folder) -> None:
    for command in ("validate", "plan", "run", "status"):
        result = folder.run(command, "--set", "score.model=trunk", "--set", "seeds=[0]")
        assert result.exit_code == 2
        expected = (
            r"recipe\.stages: there are \d stages that no other stage reads \(members\.0, .*score\); name the one"
        )
        assert re.match(rf"error: study\.yaml:8:3: {expected}", result.stderr), result.stderr
    assert not folder.ran()


def test_errors_exit_with_2(folder: Folder) -> None:
    for command in ("validate", "plan", "run", "status", "report"):
        result = folder.run(command, "--set", "members.size=0", "--set", "thread=1")
        assert result.exit_code == 2, command
        assert result.stdout == ""
        first, second = sorted(result.stderr.removeprefix("error: ").splitlines())
        assert first == "--set members.size=0: recipe.stages.members.size: must be >= 1, got 0"
        assert second.startswith("--set thread=1: thread: 'thread' is no key and no stage of the recipe")
    assert folder.run("validate", "--set", "exclude=[]").exit_code == 2
    assert not (folder.path / "work").exists()


def test_plan_shows_the_remaining_stages_without_side_effects(folder: Folder) -> None:
    result = folder.run("plan")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "little: 14 trials (7 points, 2 seeds), 0 complete",
        "",
        "STAGE  CACHED  TO BUILD  TIME",
        "fake   0       34        unknown",
        "",
        "34 stages to build; their time is unknown: no cached stage has the same model, scheme, data and training "
        "options",
    ]
    assert folder.run("run", "--dry-run").stdout == result.stdout
    assert not (folder.path / "work").exists()
    folder.local("--max-trials", "3")
    *_, stages, _, last = folder.run("plan").stdout.splitlines()
    assert re.fullmatch(r"fake +17 +17 +0\.\d+ s \+ 12 unknown", stages)
    assert re.match(
        r"17 stages to build: about 0\.\d+ s on one worker for 5 of them; the time of the other 12 is unknown: ", last
    )
    folder.local()
    assert folder.run("plan").stdout.splitlines()[-1] == "all stages are cached; nothing is left to train"
    printed = json.loads(folder.run("plan", "--format", "json").stdout)
    assert printed == {
        "trials": 14,
        "complete": 14,
        "undrawn": 0,
        "not_needed": [],
        "warnings": [],
        "stages": {"fake": {"stored": 34, "missing": 0, "unknown": 0, "seconds": 0}},
    }


def test_plan_of_a_study_with_a_sampler(folder: Folder) -> None:
    printed = folder.run("plan", "--set", "sampler=random", "--set", "sampler.trials=5").stdout.splitlines()
    assert printed == [
        "little: 10 trials (5 points drawn by the sampler random, 2 seeds), 0 complete",
        "",
        "no trial is drawn yet",
        "10 trials are not drawn yet; their stages are not counted",
    ]


def test_run_prints_answers_and_the_paths_of_the_report(folder: Folder) -> None:
    result = folder.local()
    assert result.exit_code == 0, result.stderr
    assert "14 of 14 trials complete" in result.stdout
    reports = re.findall(r"^report: (.*)$", result.stdout, re.MULTILINE)
    assert [Path(path).name for path in reports] == ["report.md", "report.html"]
    assert "Does boosting pay?" in Path(reports[0]).read_text()
    assert "MLflow" not in result.stdout
    again = folder.run("report")
    assert again.stdout == result.stdout
    ran = folder.ran()
    assert folder.local().stdout == result.stdout
    assert folder.ran() == ran


def test_status_shows_the_progress(folder: Folder) -> None:
    assert "14 waiting" in folder.run("status").stdout
    assert "the study never ran" in folder.run("status").stdout
    assert folder.run("report").exit_code == 2
    folder.local("--max-trials", "3")
    assert "11 waiting, 3 complete" in folder.run("status").stdout
    assert "11 of 14 trials" not in folder.run("status").stdout
    assert folder.run("report").exit_code == 0


def test_a_failed_trial_exits_with_1_and_shows_how_to_continue(folder: Folder) -> None:
    sets = ("--set", "trunk.fault=raise", "--set", "search.trunk.size=[1, 2]", "--set", "members.ensemble=bagging")
    result = folder.local(*sets)
    assert result.exit_code == 1
    assert " ".join(result.stdout.split()).count("ValueError: size 2 is broken") == 1  # lines are wrapped
    assert "6 trials failed (tracebacks: " in result.stderr
    assert result.stderr.count("size 2 is broken") == 1
    assert result.stderr.count(" FAILED: ") == 1
    (failed,) = [line for line in folder.run("status", *sets).stdout.splitlines() if line.startswith("failed: ")]
    assert re.fullmatch(r"failed: t\d+ .* \(and (t\d+, ){4}t\d+\): stage trunk .*: size 2 is broken", failed)
    (folder_of_errors,) = (folder.path / "work" / "studies").glob("*/errors")
    assert "size 2 is broken" in next(folder_of_errors.iterdir()).read_text()


def test_fail_fast_shows_the_remaining_trials(folder: Folder) -> None:
    result = folder.local("--fail-fast", "--set", "score.fault=nan", "--set", "score.size=2")
    assert result.exit_code == 1
    assert "13 trials left; continue with:" in result.stderr


def test_a_plugin_of_the_command_line_is_part_of_the_study(folder: Folder) -> None:
    text = (folder.path / "study.yaml").read_text().replace("plugins: [parts.py]\n", "")
    (folder.path / "study.yaml").write_text(text)
    assert folder.local().exit_code == 2
    command = ["-p", "parts.py", "study", "run", "study.yaml", "--executor", "local", "--no-tracking"]
    assert CliRunner().invoke(main, command).exit_code == 0
    (resolved,) = (folder.path / "work" / "studies").glob("*/study.yaml")
    assert "plugins: [plugins/parts.py]" in resolved.read_text()


@pytest.mark.parametrize("command", ["validate", "plan", "run", "status", "report"])
def test_help_names_the_study(folder: Folder, command: str) -> None:
    result = CliRunner().invoke(main, ["study", command, "--help"])
    assert result.exit_code == 0
    assert "STUDY" in result.stdout


def has_run(folder: Folder, stages: int) -> bool:
    return len(folder.ran()) >= stages


@pytest.mark.kill
def test_ctrl_c_stops_and_shows_the_command(folder: Folder) -> None:
    command = folder.command(*SLOW, "--executor", "local")
    with started(command, partial(has_run, folder, 4)) as process:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        out, err = process.stdout.read(), process.stderr.read()  # type: ignore[union-attr] # both are pipes
    assert process.returncode == 130, err
    assert out == ""
    assert re.search(r"interrupted: \d of 7 trials are complete, finished stages are kept; continue with:\n", err)
    again = err.splitlines()[-1].strip()
    assert again == "bebertlab " + " ".join(command[3:]).replace("seeds=[0]", "'seeds=[0]'")
    assert "Traceback" not in err
    assert "running" not in {trial["state"] for trial in folder.trials(*SLOW)}
    assert folder.local(*SLOW).exit_code == 0
    assert_every_stage_finished_once(folder, interrupted=1)


@pytest.mark.kill
def test_the_same_command_continues_after_kill_9_at_any_time(folder: Folder) -> None:
    for stages in (1, 9):
        with started(folder.command(*SLOW, "--executor", "local"), partial(has_run, folder, stages)):
            pass  # killed while exiting
    assert folder.local(*SLOW).exit_code == 0
    assert_every_stage_finished_once(folder, interrupted=2)
    killed = folder.scores(*SLOW)
    fresh = ("--set", "seeds=[0]", "--work", "fresh")
    assert folder.local(*fresh).exit_code == 0
    assert folder.scores(*fresh) == killed


@pytest.mark.slow
def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "ray", "mlflow", "transformers", "datasets", "optuna")
    code = (
        "import sys; sys.argv = ['bebertlab', 'study', 'run', '--help']\n"
        "from bebertlab.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"sys.exit(str([name for name in {heavy} if name in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "--max-trials" in done.stdout
    assert done.stderr.strip() == ""


def assert_every_stage_finished_once(folder: Folder, interrupted: int) -> None:
    """Only the stages that were running when it was stopped ran again."""
    distinct = 1 + (1 + 4 + 4) + 7  # a first stage; members of single, bagging and boosting; a score for each point
    assert distinct <= len(folder.ran()) <= distinct + interrupted


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopping_ray_stops_its_workers_and_local_continues(folder: Folder, number: signal.Signals) -> None:
    with started(folder.command(*SLOW, "--jobs", "2"), partial(has_run, folder, 3)) as process:
        os.killpg(process.pid, number)  # what a terminal does at Ctrl-C
        process.wait(timeout=30)
        err = process.stderr.read() if process.stderr and number != signal.SIGKILL else ""
    assert process.returncode == (-9 if number == signal.SIGKILL else 130), err
    if number != signal.SIGKILL:
        assert "continue with:\n  bebertlab study run study.yaml" in err
        ours = r"study little@|t\d+ (trunk|members|score)|\[\d+/7|\d complete|interrupted: |  bebertlab "
        assert not [line for line in err.splitlines() if not re.match(ours, line)]
    workers = {int(line.split()[-1]) for line in folder.ran()}
    end = time.monotonic() + 20
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    assert folder.local(*SLOW).exit_code == 0
    assert_every_stage_finished_once(folder, interrupted=2)
