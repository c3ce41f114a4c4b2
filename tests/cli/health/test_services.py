from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bebertlab.cli.health import services
from bebertlab.cli.health.finding import Mark
from bebertlab.errors import SetupError
from bebertlab.study.executors.base import TrialSource
from bebertlab.study.interrupts import Interrupts


def _database(file: Path, *statements: str) -> None:
    with sqlite3.connect(file) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def test_a_missing_database_is_not_created(tmp_path: Path) -> None:
    [finding] = services.tracking(tmp_path / "work")
    assert finding.mark == Mark.OK
    assert not (tmp_path / "work").exists()


def test_a_database_is_read_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    _database(
        file,
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('abc')",
        "CREATE TABLE runs (run_uuid TEXT)",
        "INSERT INTO runs VALUES ('1'), ('2')",
    )
    before = file.read_bytes()
    [finding] = services.tracking(tmp_path)
    assert finding.mark == Mark.OK
    assert finding.found == f"{file}: 2 runs, schema abc"
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "statements",
    [
        (),
        ("CREATE TABLE runs (run_uuid TEXT)",),
        ("CREATE TABLE alembic_version (version_num TEXT)", "CREATE TABLE runs (run_uuid TEXT)"),
    ],
)
def test_a_truncated_database_is_a_failure(tmp_path: Path, statements: tuple[str, ...]) -> None:
    _database(tmp_path / "mlflow.db", *statements)
    [finding] = services.tracking(tmp_path)
    assert finding.mark == Mark.FAIL
    assert "cannot be read" in finding.found
    assert "move the file away" in finding.hint


def test_a_file_that_is_not_a_database_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 500)
    [finding] = services.tracking(tmp_path)
    assert finding.mark == Mark.FAIL


def test_ray_is_started_without_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[int, bool]] = []

    class Executor:
        def __init__(self, *, jobs: int) -> None:
            self.jobs = jobs

        def run(self, host: TrialSource, interrupts: Interrupts) -> None:
            assert host.next_job() is None
            started.append((self.jobs, host.is_done()))

    monkeypatch.setitem(sys.modules, "bebertlab.study.executors.ray", SimpleNamespace(RayExecutor=Executor))
    [finding] = services.ray()
    assert started == [(1, True)]
    assert finding.mark == Mark.OK


def test_the_hub_is_requested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(asker: str) -> None:
        raise SetupError(f"{asker}: the hub cannot be reached: no route")

    monkeypatch.setattr("bebertlab.network.reach_hub", lambda asker: None)
    assert [finding.mark for finding in services.hub()] == [Mark.OK]
    monkeypatch.setattr("bebertlab.network.reach_hub", unreachable)
    [finding] = services.hub()
    assert (finding.mark, finding.found) == (Mark.FAIL, "the hub cannot be reached: no route")
