from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import pytest

from bebertlab.interfaces.training_state import TrainingState
from bebertlab.store.gc import Garbage, find_garbage, named_in_studies, remove, remove_locks
from bebertlab.store.store import Store

OLD, NEW, UP = "aa" * 32, "bb" * 32, "cc" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for key, inputs in ((UP, {}), (OLD, {}), (NEW, {"model": [UP]})):
        with store.claim(key) as claim:
            (claim.folder / "a").write_text("12345")
            claim.commit(stage="s", kind="k", parts={"inputs": inputs}, seconds=0.0, upstream_seconds={})
    month_ago = (datetime.now(UTC) - timedelta(days=30)).timestamp()
    os.utime(store.folder(OLD) / "manifest.json", (month_ago, month_ago))
    return store


def garbage(store: Store, days: float | None = None, named: frozenset[str] | None = None) -> dict[str, str]:
    return {item.key: item.reason for item in find_garbage(store, days=days, named=named)}


def test_an_intact_store_has_no_garbage(store: Store) -> None:
    assert garbage(store) == {}


def test_leftovers_and_corrupt_artifacts_are_garbage(store: Store) -> None:
    (store.temporary / f"{UP}-1-dead").mkdir()
    (store.folder(OLD) / "a").write_text("x")
    assert Store(store.root).get(OLD) is None
    assert garbage(store) == {OLD: "corrupt", UP: "left by a killed run"}


def test_an_artifact_that_is_being_built_is_kept(store: Store) -> None:
    with store.claim("dd" * 32) as claim:
        (claim.folder / "a").write_text("x")
        assert garbage(store) == {}
        (folder,) = store.temporary.iterdir()
        assert not remove(store, Garbage(path=folder, key="dd" * 32, reason="", size=0))
        assert folder.exists()


def test_artifacts_not_read_for_days_are_garbage(store: Store) -> None:
    assert garbage(store, days=7) == {OLD: "unused"}
    assert garbage(store, days=60) == {}


def test_artifacts_that_no_study_needs_are_garbage(store: Store, tmp_path: Path) -> None:
    study = tmp_path / "studies" / "one"
    study.mkdir(parents=True)
    (study / "journal.log").write_text(f'{{"stages": ["{NEW}"]}}')
    named = named_in_studies(tmp_path / "studies", store)
    assert named == {NEW, UP}  # upstream stages count as named
    assert garbage(store, named=named) == {OLD: "not part of a study"}


def test_artifacts_of_another_format_are_removed_only_if_they_are_old(store: Store) -> None:
    for key in (OLD, NEW):
        manifest = store.folder(key) / "manifest.json"
        times = manifest.stat().st_mtime
        manifest.write_text(manifest.read_text().replace('"format": 3', '"format": 9'))
        os.utime(manifest, (times, times))
    assert garbage(store, days=7) == {OLD: "unused"}
    assert named_in_studies(store.root / "none", store) == frozenset()


def test_garbage_collection_requires_both_conditions(store: Store) -> None:
    assert garbage(store, days=7, named=frozenset()) == {OLD: "unused"}
    assert garbage(store, days=7, named=frozenset({OLD})) == {}


def test_removing_keeps_other_artifacts(store: Store) -> None:
    (item,) = find_garbage(store, days=7)
    assert item.size > 5
    assert remove(store, item)
    assert store.peek(OLD) is None
    assert store.peek(NEW) is not None
    assert list(store.temporary.iterdir()) == []


def test_lock_files_are_removed_with_their_artifact_unless_locked(store: Store) -> None:
    (item,) = find_garbage(store, days=7)
    remove(store, item)
    with store.claim("dd" * 32):
        remove_locks(store)
        assert {path.stem for path in store.locks.iterdir()} == {NEW, UP, "dd" * 32}


def test_unused_and_unfinished_files_of_the_cache_are_garbage(store: Store) -> None:
    store.cache.mkdir()
    hours = {
        **{"new.safetensors": 1, "old.safetensors": 30, "dead.safetensors.1-2": 2, "busy.safetensors.1-2": 0},
        **{"new.json": 1, "aged.json": 30, "killed.json.1-2": 2, "busy.json.1-2": 0},
    }
    for name, age in hours.items():
        file = store.cache / name
        file.write_text("x")
        os.utime(file, (time() - 3600 * age - 60,) * 2)
    assert garbage(store) == dict.fromkeys(("dead", "killed"), "left by a killed run")
    for name in ("dead.safetensors.1-2", "killed.json.1-2"):
        (store.cache / name).unlink()
    unused = {"old": "unused tokens", "aged": "unused overlap of splits"}
    assert garbage(store, days=1) == {**unused, OLD: "unused"}
    for item in list(find_garbage(store, days=1)):
        assert remove(store, item)
    left = ["busy.json.1-2", "busy.safetensors.1-2", "new.json", "new.safetensors"]
    assert sorted(file.name for file in store.cache.iterdir()) == left


def _save_state(store: Store, key: str) -> Path:
    with store.claim(key) as claim:
        states = claim.states(seconds=0.0)
        states.begin()
        states.save(TrainingState(data={"step": 1}))
    return store.state_path(key)


def test_a_state_is_kept_until_it_is_useless(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "dd" * 32
    path = _save_state(store, key)
    assert garbage(store) == {}
    assert garbage(store, days=1) == {OLD: "unused"}
    month_ago = (datetime.now(UTC) - timedelta(days=30)).timestamp()
    os.utime(path, (month_ago, month_ago))
    assert garbage(store) == {}
    assert garbage(store, days=60) == {}
    assert garbage(store, days=7) == {OLD: "unused", key: "training not continued"}
    monkeypatch.setattr("bebertlab.store.states.source_digest", lambda: "newer")
    assert garbage(store) == {key: "unusable state of a training"}
    (item,) = find_garbage(store)
    with store.claim(key):
        assert not remove(store, item)
    assert remove(store, item)
    assert not path.exists()


def test_the_state_of_a_finished_stage_is_garbage(store: Store) -> None:
    path = _save_state(store, "dd" * 32)
    path.rename(store.state_path(NEW))  # killed between the last two actions of a stage
    assert garbage(store) == {NEW: "state of a finished training"}
    (item,) = find_garbage(store)
    assert item.size > 0
    assert remove(store, item)
    assert store.folder(NEW).is_dir()
    assert not store.state_path(NEW).exists()


def test_the_state_goes_when_the_stage_is_finished(store: Store) -> None:
    key = "dd" * 32
    path = _save_state(store, key)
    assert [manifest.key for manifest in store.manifests()] == sorted([OLD, NEW, UP])  # no stage is there yet
    with store.claim(key) as claim:
        (claim.folder / "a").write_text("x")
        claim.commit(stage="s", kind="k", parts={"inputs": {}}, seconds=0.0, upstream_seconds={})
    assert not path.exists()
