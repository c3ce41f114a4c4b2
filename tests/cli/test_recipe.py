from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from bebertlab.cli.recipe import _Progress
from bebertlab.interfaces.events import StageFinished

if TYPE_CHECKING:
    from tests.cli.conftest import Lab


def test_run_builds_missing_stages_and_prints_the_result(lab: Lab) -> None:
    result = lab.run("recipe", "run", lab.recipe)
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stderr.splitlines() if "built in" in line] == ["first", "second", "last"]
    assert re.search(r"second \(make, [0-9a-f]{12}\) built in 0\.\d\d s, select/score 50\.00", result.stderr)
    assert _rows(result.stdout)["METRIC"] == "VALUE"
    assert _rows(result.stdout)["select/score"] == "1"
    assert "cost/second_seconds" not in result.stdout
    assert result.stdout.splitlines()[-1] == "(3 more with --all)"
    whole = lab.run("recipe", "run", lab.recipe, "--all")
    assert "cost/second_seconds" in _rows(whole.stdout)
    assert "more with --all" not in whole.stdout
    assert "told of second" in result.stdout  # observers of plugins are notified too
    again = lab.run("recipe", "run", lab.recipe)
    assert "built in" not in again.stderr
    assert again.stderr.count("cached, took") == 3


def _rows(text: str) -> dict[str, str]:
    lines = [line.split() for line in text.splitlines() if not line.startswith("told")]
    return {line[0]: line[1] for line in lines if len(line) == 2}


def test_a_warning_of_several_stages_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _Progress(["score", "other"])

    def finish(stage: str) -> str:
        event = StageFinished(stage=stage, stage_kind="member", key=stage, warnings=("cut",))
        lines.bebertlab_stage_finished(event)
        return capsys.readouterr().err

    assert finish("members.0").endswith("warning: members.0: cut\n")
    assert "warning" not in finish("members.1")
    assert "warning" not in finish("members.1")
    assert finish("score").endswith("warning: score: cut\n")  # each shown result has its own
    assert finish("other").endswith("warning: other: cut\n")


def test_an_observer_that_raises_does_not_stop_a_recipe(lab: Lab) -> None:
    plugin = lab.folder / "toy.py"
    plugin.write_text(plugin.read_text() + "    raise OSError('no such server')\n")
    result = lab.run("recipe", "run", lab.recipe)
    assert result.exit_code == 0
    assert result.stderr.count("plugin 'toy.py' failed in bebertlab_stage_finished: OSError: no such server") == 1
    assert "told of last" in result.stdout


def test_run_in_json(lab: Lab) -> None:
    lab.run("recipe", "run", lab.recipe)
    result = lab.run("recipe", "run", lab.recipe, "--format", "json")
    text = "\n".join(line for line in result.stdout.splitlines() if not line.startswith("told"))
    data = json.loads(text)
    assert data["metrics"]["validation/score"] == 0.5
    assert data["results"] == {"last": data["metrics"]}
    assert [(stage["stage"], stage["stored"]) for stage in data["stages"]] == [
        ("first", True),
        ("second", True),
        ("last", True),
    ]


def test_run_takes_overrides_and_a_stage(lab: Lab) -> None:
    result = lab.run("recipe", "run", lab.recipe, "--set", "aside.value=7", "--stage", "aside")
    assert result.exit_code == 0, result.output
    assert re.search(r"aside \(make, [0-9a-f]{12}\) built in 0\.\d\d s, select/score 7\.00", result.stderr)
    assert "second (make)" not in result.stderr
    assert result.stderr.splitlines()[0] == "not run: second, last (not needed for aside)"


def test_without_a_result_every_final_stage_is_shown(lab: Lab) -> None:
    ends = ("--set", "result=null", "--set", "aside.value=7")
    result = lab.run("recipe", "run", lab.recipe, *ends)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if not line.startswith("told")]
    assert lines[:2] == [["aside:"], ["METRIC", "VALUE"]]
    assert [line for line in lines if line[:1] in (["last:"], ["select/score"])] == [
        ["select/score", "7"],
        ["last:"],
        ["select/score", "1"],
    ]
    assert "not run" not in result.stderr
    result = lab.run("recipe", "run", lab.recipe, *ends, "--format", "json")
    data = json.loads("\n".join(line for line in result.stdout.splitlines() if not line.startswith("told")))
    assert {name: metrics["select/score"] for name, metrics in data["results"].items()} == {"aside": 7.0, "last": 1.0}
    assert "metrics" not in data
    assert states(lab, *ends)["aside"] == "cached"


def test_stages_that_the_result_does_not_need_are_reported(lab: Lab) -> None:
    result = lab.run("recipe", "run", lab.recipe)
    assert result.stderr.splitlines()[0] == "not run: aside (not needed for last)"


def test_a_failing_stage_is_named_without_a_traceback(lab: Lab) -> None:
    result = lab.run("recipe", "run", lab.recipe, "--set", "second.fail=true")
    assert result.exit_code == 2
    assert "error: stage second (make): it does not want to" in result.stderr
    assert "Traceback" not in result.output


def test_all_errors_are_reported_before_anything_runs(lab: Lab) -> None:
    result = lab.run("recipe", "run", lab.recipe, "--set", "sekond.value=7", "--set", "first.value=x", "--set", "a")
    assert result.exit_code == 2
    assert "--set a: write it as path=value" in result.stderr
    result = lab.run("recipe", "run", lab.recipe, "--set", "sekond.value=7", "--set", "first.value=x")
    assert (
        "--set sekond.value=7: sekond.value: 'sekond' is no key and no stage of the recipe; did you mean"
        in result.stderr
    )
    assert "--set first.value=x: stages.first.value: expected a number, got 'x'" in result.stderr
    assert not lab.work.exists()


def test_an_unknown_stage_is_named(lab: Lab) -> None:
    for command in ("run", "plan"):
        result = lab.run("recipe", command, lab.recipe, "--stage", "firrst")
        assert result.exit_code == 2
        assert "unknown stage 'firrst'; did you mean 'first'?" in result.stderr


def states(lab: Lab, *arguments: str) -> dict[str, str]:
    result = lab.run("recipe", "plan", lab.recipe, "--format", "json", *arguments)
    assert result.exit_code == 0, result.output
    return {stage["stage"]: stage["state"] for stage in json.loads(result.stdout)["stages"]}


def test_plan_shows_states_without_side_effects(lab: Lab) -> None:
    run, aside = "to build", "not needed for last"
    assert states(lab) == {"first": run, "second": run, "aside": aside, "last": run}
    assert not lab.work.exists()
    lab.run("recipe", "run", lab.recipe)
    assert states(lab) == {"first": "cached", "second": "cached", "aside": aside, "last": "cached"}
    assert states(lab, "--set", "second.value=2")["second"] == run
    assert states(lab, "--set", "second.value=2")["first"] == "cached"
    assert states(lab, "--threads", "2")["first"] == run
    assert states(lab, "--stage", "aside")["aside"] == run


def test_plan_as_a_table(lab: Lab) -> None:
    lab.run("recipe", "run", lab.recipe)
    result = lab.run("recipe", "plan", lab.recipe)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["STAGE", "KIND", "KEY", "TIME", "STATE"]
    assert lines[2].split()[0:2] == ["second", "make"]
    assert lines[2].endswith("0.00 s  cached")


def test_removed_upstream_stages_are_not_built_again(lab: Lab) -> None:
    lab.run("recipe", "run", lab.recipe)
    key = json.loads(lab.run("recipe", "plan", lab.recipe, "--format", "json").stdout)["stages"][0]["key"]
    (lab.work / "store" / key[:2] / key / "manifest.json").unlink()
    assert states(lab)["first"] == "upstream of cached stages"
