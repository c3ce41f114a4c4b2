from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bebertlab.store.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Lab


@pytest.fixture
def keys(lab: Lab) -> dict[str, str]:
    """A run recipe; the keys of its stages."""
    assert lab.run("recipe", "run", lab.recipe).exit_code == 0
    return {row["stage"]: row["key"] for row in listed(lab)}


def listed(lab: Lab, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(lab.run("store", "list", "--format", "json", *words).stdout)
    return rows


def test_list_shows_what_is_stored(lab: Lab, keys: dict[str, str]) -> None:
    assert set(keys) == {"first", "second", "last"}
    assert [row["stage"] for row in listed(lab, "--stage", "second")] == ["second"]
    assert listed(lab, "--kind", "finetune") == []
    result = lab.run("store", "list")
    assert "3 stages" in result.stderr
    (row,) = [line for line in result.stdout.splitlines() if " second " in line]
    assert row.startswith(keys["second"][:12])
    assert row.endswith("25.00")


def test_list_of_nothing(lab: Lab) -> None:
    result = lab.run("store", "list")
    assert result.exit_code == 0
    assert "0 stages, 0 B" in result.stderr


def test_why_tells_the_parts_of_a_stored_key(lab: Lab, keys: dict[str, str]) -> None:
    for what in (keys["second"], keys["second"][:9], "second"):
        result = lab.run("store", "why", what)
        assert result.exit_code == 0, result.output
        made_of = result.stdout.partition("\n\n")[0].splitlines()
        rows = dict(line.split(None, 1) for line in made_of if line.startswith(("stage.", "inputs.")))
        assert rows["stage.options.value"] == "50.0"
        assert rows["inputs.of.0"] == f"{keys['first'][:12]}..."
        assert "make, is stored" in result.stdout


def test_why_tells_why_a_stage_of_a_recipe_would_run(lab: Lab, keys: dict[str, str]) -> None:
    result = lab.run("store", "why", f"{lab.recipe}:last", "--set", "second.value=51")
    assert "make, is not stored" in result.stdout
    differs = result.stdout.partition("differs in:")[2].splitlines()[2:]
    assert [line.split("  ")[0] for line in differs] == ["inputs.of.0 > stage.options.value"]
    assert differs[0].split()[-2:] == ["51.0", "50.0"]


def test_why_of_the_first_of_its_kind(lab: Lab) -> None:
    result = lab.run("store", "why", f"{lab.recipe}:first")
    assert "No other make is stored." in result.stdout


@pytest.mark.parametrize(
    ("what", "fault"),
    [("sekond", "unknown key or stage 'sekond'; did you mean 'second'?"), ("", "write more of it")],
)
def test_why_of_something_unknown(lab: Lab, keys: dict[str, str], what: str, fault: str) -> None:
    result = lab.run("store", "why", what)
    assert result.exit_code == 2
    assert fault in result.stderr


def test_why_of_an_unknown_stage_of_a_recipe(lab: Lab) -> None:
    assert "unknown stage 'firrst'" in lab.run("store", "why", f"{lab.recipe}:firrst").stderr


def test_gc_removes_what_nobody_needs(lab: Lab, keys: dict[str, str]) -> None:
    store = Store(lab.work / "store")
    (store.folder(keys["first"]) / "text").write_text("damaged")
    assert store.get(keys["first"]) is None
    (store.temporary / f"{keys['last']}-1-dead").mkdir(parents=True)
    dry = lab.run("store", "gc", "-n")
    assert "damaged" in dry.stdout
    assert "left by a killed run" in dry.stdout
    assert "would remove 2 folders" in dry.stderr
    assert len(list(store.quarantine.iterdir())) == 1
    assert "removed 2 folders" in lab.run("store", "gc").stderr
    assert list(store.quarantine.iterdir()) == []
    assert {row["stage"] for row in listed(lab)} == {"second", "last"}


def test_gc_keeps_what_studies_name(lab: Lab, keys: dict[str, str]) -> None:
    lab.run("recipe", "run", lab.recipe, "--stage", "aside")
    journal = lab.work / "studies" / "one" / "journal.log"
    journal.parent.mkdir(parents=True)
    journal.write_text(json.dumps({"key": keys["last"]}))
    assert "removed 1 folders" in lab.run("store", "gc", "--unreferenced").stderr
    assert {row["stage"] for row in listed(lab)} == {"first", "second", "last"}
    assert "removed 0 folders" in lab.run("store", "gc", "--days", "1").stderr


def test_gc_leaves_what_a_process_is_at_work_on(lab: Lab, keys: dict[str, str]) -> None:
    with Store(lab.work / "store").claim(keys["first"]):
        result = lab.run("store", "gc", "--unreferenced")
    assert f"{keys['first'][:12]}: a process is at work on it; it stays" in result.stderr
    assert {row["stage"] for row in listed(lab)} == {"first"}
