from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bebertlab.store.store import Claim, Store

KEY = "ab" * 32

MAKER = """
import sys, time
from pathlib import Path
from bebertlab.store.store import Store
root, key, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with Store(root).claim(key) as claim:
    if claim.artifact is None:
        (claim.folder / "made").write_text(str(time.time()))
        print("making", flush=True)
        if mode == "hang":
            time.sleep(60)
        time.sleep(0.3)
        claim.commit(stage="s", kind="k", parts={}, seconds=0.3, upstream_seconds={})
    else:
        print("found", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def commit(claim: Claim, text: str = "weights") -> None:
    (claim.folder / "model").mkdir()
    (claim.folder / "model" / "weights").write_text(text)
    claim.commit(stage="teacher", kind="finetune", parts={"seed": 0}, seconds=2.5, upstream_seconds={})


def make(store: Store, key: str = KEY) -> Path:
    with store.claim(key) as claim:
        commit(claim)
    return store.folder(key)


def test_a_committed_artifact_can_be_read(store: Store) -> None:
    assert store.get(KEY) is None
    with store.claim(KEY) as claim:
        assert claim.artifact is None
        commit(claim)
    artifact = store.get(KEY)
    assert artifact is not None
    assert (artifact.stage, artifact.key, artifact.seconds) == ("teacher", KEY, 2.5)
    assert artifact.folder == store.root / "ab" / KEY
    assert (artifact.folder / "model" / "weights").read_text() == "weights"


def test_a_second_claim_returns_the_artifact(store: Store) -> None:
    make(store)
    with store.claim(KEY) as claim:
        assert claim.artifact is not None


def test_an_exception_leaves_no_files(store: Store) -> None:
    def fail() -> None:
        with store.claim(KEY) as claim:
            (claim.folder / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.get(KEY) is None
    assert list(store.temporary.iterdir()) == []


def test_an_artifact_is_not_visible_before_the_commit(store: Store) -> None:
    with store.claim(KEY) as claim:
        (claim.folder / "half").write_text("x")
        assert store.get(KEY) is None
        assert store.peek(KEY) is None


def test_leftovers_of_a_killed_process_are_removed(store: Store) -> None:
    left = store.temporary / f"{KEY}-1-dead"
    left.mkdir(parents=True)
    other = store.temporary / f"{'cd' * 32}-1-alive"
    other.mkdir()
    make(store)
    assert not left.exists()
    assert other.exists()


def corrupt_truncated(folder: Path) -> None:
    (folder / "model" / "weights").write_text("wei")


def corrupt_changed(folder: Path) -> None:
    (folder / "model" / "weights").write_text("weighty")


def corrupt_missing(folder: Path) -> None:
    (folder / "model" / "weights").unlink()


def corrupt_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def corrupt_no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


CORRUPTIONS = [corrupt_truncated, corrupt_changed, corrupt_missing, corrupt_manifest, corrupt_no_manifest]


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
def test_a_corrupt_artifact_is_quarantined(store: Store, corrupt: object, caplog: pytest.LogCaptureFixture) -> None:
    assert callable(corrupt)
    corrupt(make(store))
    fresh = Store(store.root)
    with caplog.at_level(logging.WARNING):
        assert fresh.get(KEY) is None
    assert "stored stage abababababab is corrupt" in caplog.text
    assert [path.name.partition("-")[0] for path in store.quarantine.iterdir()] == [KEY]
    make(fresh)
    assert fresh.get(KEY) is not None


def test_a_claim_quarantines_a_corrupt_artifact(store: Store) -> None:
    corrupt_truncated(make(store))
    with Store(store.root).claim(KEY) as claim:
        assert claim.artifact is None


def test_an_artifact_is_checked_once_in_a_process(store: Store) -> None:
    corrupt_changed(make(store))  # this object built it
    assert store.get(KEY) is not None


def test_peek_reads_only_the_manifest(store: Store) -> None:
    corrupt_missing(make(store))
    manifest = Store(store.root).peek(KEY)
    assert manifest is not None
    assert manifest.seconds == 2.5


def test_reading_updates_the_time_of_use(store: Store) -> None:
    folder = make(store)
    os.utime(folder / "manifest.json", (0, 0))
    Store(store.root).peek(KEY)
    assert store.used(KEY).year == 1970
    Store(store.root).get(KEY)
    assert store.used(KEY).year > 1970


def test_manifests_lists_the_readable_ones(store: Store) -> None:
    keys = ["ab" * 32, "cd" * 32, "ef" * 32]
    for key in keys:
        make(store, key)
    corrupt_manifest(store.folder(keys[1]))
    assert [manifest.key for manifest in store.manifests()] == [keys[0], keys[2]]


def test_a_claim_whose_lock_failed_keeps_the_artifact_of_the_other_process(store: Store) -> None:
    with store.claim(KEY) as claim:
        (claim.folder / "model").mkdir()
        (claim.folder / "model" / "weights").write_text("weights")
        other = Claim(Store(store.root), KEY, None)  # as on a file system whose locks do not work
        commit(other)
        claim.commit(stage="teacher", kind="finetune", parts={}, seconds=1.0, upstream_seconds={})
    assert store.get(KEY) is not None


def test_a_claim_waits_for_the_lock_and_returns_the_artifact(store: Store) -> None:
    notified: list[str] = []
    actual: list[object] = []

    def wait() -> None:
        with Store(store.root).claim(KEY, waiting=lambda: notified.append("waiting")) as claim:
            actual.append(claim.artifact)

    with store.claim(KEY) as claim:
        thread = threading.Thread(target=wait)
        thread.start()
        while not notified:
            time.sleep(0.01)
        commit(claim)
    thread.join()
    assert notified == ["waiting"]
    assert actual[0] is not None


def start(store: Store, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(store.root), KEY, mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_one_of_two_processes_builds_and_the_other_reads(store: Store) -> None:
    processes = [start(store, "make") for _ in range(2)]
    message = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert message == ["found", "making"]


@pytest.mark.kill
def test_a_killed_process_releases_the_lock_and_leaves_no_artifact(store: Store) -> None:
    process = start(store, "hang")
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "making"
    assert len(list(store.temporary.iterdir())) == 1
    process.kill()
    process.wait()
    process.stdout.close()
    assert store.get(KEY) is None
    with store.claim(KEY) as claim:
        assert claim.artifact is None
        assert list(store.temporary.iterdir()) == []
        commit(claim)
    assert store.get(KEY) is not None
