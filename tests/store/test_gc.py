from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import pytest

from bebertlab.store.gc import Garbage, find_garbage, named_in_studies, remove, remove_locks
from bebertlab.store.store import Store

OLD, NEW, UP = "aa" * 32, "bb" * 32, "cc" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for key, inputs in ((UP, {}), (OLD, {}), (NEW, {"model": [UP]})):
        with store.claim(key) as claim:
            (claim.folder / "a").write_text("12345")
            claim.commit(stage="s", kind="k", parts={"inputs": inputs}, seconds=0.0, behind={})
    month_ago = (datetime.now(UTC) - timedelta(days=30)).timestamp()
    os.utime(store.folder(OLD) / "manifest.json", (month_ago, month_ago))
    return store


def found(store: Store, days: float | None = None, named: frozenset[str] | None = None) -> dict[str, str]:
    return {rubbish.key: rubbish.what for rubbish in find_garbage(store, days=days, named=named)}


def test_a_sound_store_has_none(store: Store) -> None:
    assert found(store) == {}


def test_leftovers_and_damaged_artifacts_go_first(store: Store) -> None:
    (store.temporary / f"{UP}-1-dead").mkdir()
    (store.folder(OLD) / "a").write_text("x")
    assert Store(store.root).get(OLD) is None
    assert found(store) == {OLD: "damaged", UP: "left by a killed run"}


def test_what_is_being_made_stays(store: Store) -> None:
    with store.claim("dd" * 32) as claim:
        (claim.folder / "a").write_text("x")
        assert found(store) == {}
        (folder,) = store.temporary.iterdir()
        assert not remove(store, Garbage(path=folder, key="dd" * 32, what="", size=0))
        assert folder.exists()


def test_unused_for_days(store: Store) -> None:
    assert found(store, days=7) == {OLD: "unused"}
    assert found(store, days=60) == {}


def test_not_named_in_a_study(store: Store, tmp_path: Path) -> None:
    study = tmp_path / "studies" / "one"
    study.mkdir(parents=True)
    (study / "journal.log").write_text(f'{{"stages": ["{NEW}"]}}')
    named = named_in_studies(tmp_path / "studies", store)
    assert named == {NEW, UP}  # what NEW was made from counts as named
    assert found(store, named=named) == {OLD: "not part of a study"}


def test_both_conditions_must_hold(store: Store) -> None:
    assert found(store, days=7, named=frozenset()) == {OLD: "unused"}
    assert found(store, days=7, named=frozenset({OLD})) == {}


def test_removing_makes_room_and_leaves_the_rest(store: Store) -> None:
    (rubbish,) = find_garbage(store, days=7)
    assert rubbish.size > 5
    assert remove(store, rubbish)
    assert store.peek(OLD) is None
    assert store.peek(NEW) is not None
    assert list(store.temporary.iterdir()) == []


def test_lock_files_go_with_their_artifact_unless_held(store: Store) -> None:
    (rubbish,) = find_garbage(store, days=7)
    remove(store, rubbish)
    with store.claim("dd" * 32):
        remove_locks(store)
        assert {path.stem for path in store.locks.iterdir()} == {NEW, UP, "dd" * 32}


def test_tokens_that_nobody_read_for_days_go_and_half_written_ones(store: Store) -> None:
    store.cache.mkdir()
    hours = {"new.safetensors": 1, "old.safetensors": 30, "dead.safetensors.1-2": 2, "busy.safetensors.1-2": 0}
    for name, age in hours.items():
        file = store.cache / name
        file.write_text("x")
        os.utime(file, (time() - 3600 * age - 60,) * 2)
    assert found(store) == {"dead": "left by a killed run"}
    (store.cache / "dead.safetensors.1-2").unlink()
    assert found(store, days=1) == {"old": "unused tokens", OLD: "unused"}
    for rubbish in list(find_garbage(store, days=1)):
        assert remove(store, rubbish)
    assert sorted(file.name for file in store.cache.iterdir()) == ["busy.safetensors.1-2", "new.safetensors"]
