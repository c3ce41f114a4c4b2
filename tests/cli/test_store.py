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


def listed(lab: Lab, *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(lab.run("store", "list", "--format", "json", *arguments).stdout)
    return rows


def test_list_shows_stored_stages(lab: Lab, keys: dict[str, str]) -> None:
    assert set(keys) == {"first", "second", "last"}
    assert [row["stage"] for row in listed(lab, "--stage", "second")] == ["second"]
    assert listed(lab, "--kind", "finetune") == []
    result = lab.run("store", "list")
    assert "3 stages" in result.stderr
    (row,) = [line for line in result.stdout.splitlines() if " second " in line]
    assert row.startswith(keys["second"][:12])
    assert row.endswith("25.00")


def test_list_of_an_empty_store(lab: Lab) -> None:
    result = lab.run("store", "list")
    assert result.exit_code == 0
    assert "0 stages, 0 B" in result.stderr


def test_why_shows_the_parts_of_a_key(lab: Lab, keys: dict[str, str]) -> None:
    for name in (keys["second"], keys["second"][:9], "second"):
        result = lab.run("store", "why", name, "--all")
        assert result.exit_code == 0, result.output
        made_of = result.stdout.partition("All parts of the key:")[2].splitlines()
        rows = dict(line.split(None, 1) for line in made_of if line.startswith(("stage.", "inputs.")))
        assert rows["stage.options.value"] == "50.0"
        assert rows["inputs.of.0"] == f"{keys['first'][:12]}..."
        assert "make, cached" in result.stdout
        assert "All parts of the key" not in lab.run("store", "why", name).stdout


def test_why_explains_why_a_stage_of_a_recipe_is_not_cached(lab: Lab, keys: dict[str, str]) -> None:
    result = lab.run("store", "why", f"{lab.recipe}:last", "--set", "second.value=51")
    assert "make, not cached" in result.stdout
    differs = result.stdout.partition("differs in:")[2].splitlines()[2:]
    assert [line.split("  ")[0] for line in differs] == ["of > value"]
    assert differs[0].split()[-3:] == ["50.0", "->", "51.0"]
    whole = lab.run("store", "why", f"{lab.recipe}:last", "--set", "second.value=51", "--all")
    assert "inputs.of.0 > stage.options.value" in whole.stdout


def test_why_of_the_only_stage_of_its_kind(lab: Lab) -> None:
    result = lab.run("store", "why", f"{lab.recipe}:first")
    assert "No other make is stored." in result.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [("sekond", "unknown stage or key 'sekond' in"), ("", "unknown stage or key")],
)
def test_why_of_an_unknown_stage(lab: Lab, keys: dict[str, str], name: str, message: str) -> None:
    result = lab.run("store", "why", name)
    assert result.exit_code == 2
    assert message in result.stderr


def test_why_of_a_stage_that_cannot_be_read(lab: Lab, keys: dict[str, str]) -> None:
    path = Store(lab.work / "store").folder(keys["second"]) / "manifest.json"
    for text, message in (("{", "manifest is damaged"), ('{"format": 1}', "this version reads 3")):
        path.write_text(text)
        result = lab.run("store", "why", keys["second"])
        assert (result.exit_code, message in result.stderr) == (2, True), result.output


def test_why_of_an_unknown_stage_of_a_recipe(lab: Lab) -> None:
    assert "unknown stage 'firrst'" in lab.run("store", "why", f"{lab.recipe}:firrst").stderr


def test_gc_removes_corrupt_stages_and_leftovers(lab: Lab, keys: dict[str, str]) -> None:
    store = Store(lab.work / "store")
    (store.folder(keys["first"]) / "text").write_text("damaged")
    assert store.get(keys["first"]) is None
    (store.temporary / f"{keys['last']}-1-dead").mkdir(parents=True)
    dry = lab.run("store", "gc", "-n")
    assert "corrupt" in dry.stdout
    assert "left by a killed run" in dry.stdout
    assert "would remove 2 folders" in dry.stderr
    assert len(list(store.quarantine.iterdir())) == 1
    assert "removed 2 folders" in lab.run("store", "gc").stderr
    assert list(store.quarantine.iterdir()) == []
    assert {row["stage"] for row in listed(lab)} == {"second", "last"}


def test_gc_keeps_stages_of_studies(lab: Lab, keys: dict[str, str]) -> None:
    lab.run("recipe", "run", lab.recipe, "--stage", "aside")
    journal = lab.work / "studies" / "one" / "journal.log"
    journal.parent.mkdir(parents=True)
    journal.write_text(json.dumps({"key": keys["last"]}))
    assert "removed 1 folders" in lab.run("store", "gc", "--unreferenced").stderr
    assert {row["stage"] for row in listed(lab)} == {"first", "second", "last"}
    assert "removed 0 folders" in lab.run("store", "gc", "--days", "1").stderr


def test_gc_keeps_what_a_process_uses(lab: Lab, keys: dict[str, str]) -> None:
    with Store(lab.work / "store").claim(keys["first"]):
        result = lab.run("store", "gc", "--unreferenced")
    assert f"{keys['first'][:12]}: kept, a process is using it" in result.stderr
    assert {row["stage"] for row in listed(lab)} == {"first"}
