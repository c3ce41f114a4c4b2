"""Lists of studies and best points, over a study of fakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from bebertlab.cli.main import main

if TYPE_CHECKING:
    from tests.cli.conftest import Folder


def command(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_list_shows_state_trials_and_best_score(folder: Folder) -> None:
    result = CliRunner().invoke(main, ["study", "list"])
    assert (result.exit_code, result.stdout.split()[0]) == (0, "STUDY")
    assert result.stderr.endswith("work has no studies\n")
    folder.local("--smoke", "--max-trials", "2")
    folder.local("--smoke", "--set", "trunk.rate=2")
    head, first, second = command("study", "list").splitlines()
    assert head.split()[:5] == ["STUDY", "STATE", "COMPLETE", "FAILED", "BEST"]
    assert first.split()[1:6] == ["incomplete,", "smoke", "run", "2/5", "0"]
    assert second.split()[1:6] == ["complete,", "smoke", "run", "5/5", "0"]
    rows = json.loads(command("study", "list", "--format", "json"))
    assert [row["state"] for row in rows] == ["incomplete", "complete"]
    assert f"validation/score {rows[1]['best']:.2f}" in second


def test_list_shows_a_study_with_a_corrupt_journal_as_unreadable(folder: Folder) -> None:
    folder.local("--smoke", "--max-trials", "1")
    (journal,) = folder.path.glob("work/studies/*/journal.log")
    journal.write_text("no entry\n")
    result = CliRunner().invoke(main, ["study", "list"])
    assert "unreadable" in result.stdout
    assert "warning: " in result.stderr


def test_commands_take_a_study_by_name(folder: Folder) -> None:
    folder.local("--smoke", "--max-trials", "2")
    text = command("study", "status", "little")
    assert "2 complete" in text
    assert text == folder.run("status", "--smoke").stdout
    assert "report.md" in command("study", "report", "little")
    again = CliRunner().invoke(main, ["study", "run", "little", "--executor", "local", "--no-tracking"])
    assert again.exit_code == 0, again.stderr
    assert "5 complete" in command("study", "status", "little")
    wrong = CliRunner().invoke(main, ["study", "status", "litle"])
    assert wrong.exit_code == 2
    assert "did you mean 'little'?" in wrong.stderr


def test_best_shows_options_scores_and_artifacts(folder: Folder) -> None:
    folder.local("--smoke", "--set", "seeds=[0, 1]")
    data = json.loads(command("study", "best", "little", "--format", "json"))
    assert data["points"] == 5
    assert [trial["seed"] for trial in data["trials"]] == [0, 1]
    metric = data["objectives"][0]["metric"]
    assert data["means"][metric] == sum(trial["metrics"][metric] for trial in data["trials"]) / 2
    assert all(stage["stored"] and Path(stage["folder"]).is_dir() for stage in data["stages"])
    text = command("study", "best", "little")
    assert f"{data['study']} (smoke run): best of 5 points by {metric} (maximize, mean over 2 seeds)" in text
    for path, value in data["parameters"].items():
        assert any(line.split() == [path, str(value)] for line in text.splitlines())
    for stage in data["stages"]:
        line = [stage["stage"], stage["kind"], stage["key"][:12], stage["folder"]]
        assert any(row.split() == line for row in text.splitlines())


def test_best_prints_one_folder_for_the_shell(folder: Folder) -> None:
    folder.local("--smoke", "--set", "seeds=[0, 1]")
    data = json.loads(command("study", "best", "little", "--seed", "1", "--format", "json"))
    folders = {stage["stage"]: stage["folder"] for stage in data["stages"]}
    assert command("study", "best", "little", "--seed", "1", "--folder") == f"{folders['score']}\n"
    chosen = command("study", "best", "little", "--seed", "1", "--folder", "--stage", "trunk")
    assert chosen == f"{folders['trunk']}\n"
    by_file = folder.run("best", "--smoke", "--set", "seeds=[0, 1]", "--seed", "1", "--folder")
    assert by_file.stdout == f"{folders['score']}\n"


def test_best_needs_a_complete_trial_and_a_folder_for_a_stage(folder: Folder) -> None:
    result = folder.run("best", "--smoke")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "this study never ran here" in result.stderr
    result = folder.run("best", "--stage", "trunk")
    assert "--stage needs --folder" in result.stderr
