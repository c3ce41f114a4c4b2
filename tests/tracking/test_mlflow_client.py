from __future__ import annotations

import logging
import os
import shlex
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bebertlab.errors import SetupError, UserError
from bebertlab.tracking.mlflow_client import (
    artifact_root,
    check_uri,
    connect,
    default_uri,
    describe,
    experiment_name,
    fragment,
    open_command,
    shown_uri,
    sqlite_path,
    tracking_uri,
)

pytestmark = [
    pytest.mark.slow,
    # SQLAlchemy's deprecations inside MLflow
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")


def test_concurrent_openings_leave_the_database_complete(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db.part").write_text("what a killed process left")
    errors = []

    def opened() -> None:
        try:
            connect(default_uri(tmp_path), tmp_path).search_experiments()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=opened) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


def test_an_existing_database_is_not_changed(database: Path) -> None:
    before = database.stat().st_mtime_ns
    connect(f"sqlite:///{database}", database.parent)
    assert database.stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", ["a folder", "no database"])
def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mlflow.db"
    if kind == "a folder":
        path.mkdir()
    else:
        path.write_text("no database at all, but a text of some length " * 9)
    with pytest.raises(SetupError, match="expected an SQLite file that can be written"):
        connect(default_uri(tmp_path), tmp_path)


def test_a_database_that_cannot_be_written_is_named_before_mlflow_tries(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bebertlab.tracking.mlflow_client.LOCK_SECONDS", 0.0)
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("BEGIN IMMEDIATE")  # others can still read
        with pytest.raises(SetupError, match="database is locked; expected an SQLite file that can be written"):
            connect(f"sqlite:///{database}", database.parent)
    connect(f"sqlite:///{database}", database.parent)


def test_libraries_log_nothing(database: Path) -> None:
    connect(f"sqlite:///{database}", database.parent)
    assert not logging.getLogger("mlflow.store.db.utils").isEnabledFor(logging.ERROR)
    assert not logging.getLogger("alembic.runtime.migration").isEnabledFor(logging.ERROR)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


@pytest.mark.parametrize("name", ["plain", "what? really", "100%25 sure", "50% off", "#1 ü;x"])
def test_every_folder_has_an_address(database: Path, tmp_path: Path, name: str) -> None:
    work = tmp_path / "in" / name
    work.mkdir(parents=True)
    shutil.copy(database, work / "mlflow.db")
    uri = default_uri(work)
    assert sqlite_path(uri) == work / "mlflow.db"
    connect(uri, work).create_experiment("mine")
    assert [path.name for path in (tmp_path / "in").iterdir()] == [name]  # MLflow made no folder named by the address
    assert [path.name for path in work.iterdir()] == ["mlflow.db"]


def test_a_schema_that_cannot_be_created_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(uri: str, artifacts: str) -> None:
        (tmp_path / "mlflow.db.part").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore", fail)
    with pytest.raises(OSError, match="No space left"):
        connect(default_uri(tmp_path), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db.lock"]


def test_an_unknown_home_folder_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    check_uri(None)
    check_uri("http://~nobody-of-that-name")
    with pytest.raises(UserError, match="unknown home folder ~nobody-of-that-name"):
        check_uri("~nobody-of-that-name/x")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "~nobody-of-that-name/x")
    with pytest.raises(UserError, match="unknown home folder"):
        check_uri(None)


def test_remote_addresses_are_not_files() -> None:
    for uri in ("sqlite://", "sqlite:///:memory:", "http://h/x.db", "sqlite:nonsense"):
        assert sqlite_path(uri) is None


def test_the_environment_variables_of_mlflow_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(None, tmp_path) == default_uri(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert tracking_uri(None, tmp_path) == default_uri(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://lab:5000")
    assert tracking_uri(None, tmp_path) == shown_uri(None, tmp_path) == "http://lab:5000"
    assert tracking_uri("http://other", tmp_path) == "http://other"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tracking_uri("sqlite:///~/a.db", tmp_path) == f"sqlite:///{tmp_path}/a.db"


def test_the_experiment_of_mlflows_variables(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(default_uri(tmp_path), tmp_path)
    assert experiment_name(client, "s") == "bebertlab/s"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment("by number"))
    assert experiment_name(client, "s") == "by number"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "by name")
    assert experiment_name(client, "s") == "by name"


def test_no_password_is_shown(tmp_path: Path) -> None:
    uri = "postgresql://me:hunter2@h/mlflow"
    assert "postgresql://me:***@h/mlflow" in shlex.split(open_command(uri, tmp_path))
    assert shown_uri(uri, tmp_path) == "postgresql://me:***@h/mlflow"
    assert describe(ValueError(f"{uri} refused"), None) == "postgresql://me:***@h/mlflow refused"


def test_the_command_can_be_pasted(tmp_path: Path) -> None:
    work = tmp_path / "a folder"
    arguments = shlex.split(open_command(default_uri(work), work))
    assert arguments[0] == "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"
    assert arguments[arguments.index("--backend-store-uri") + 1] == f"sqlite:///{work}/mlflow.db"
    assert arguments[arguments.index("--default-artifact-root") + 1] == artifact_root(work).as_uri()
    assert fragment("7").startswith("#/experiments/7/runs?")


def test_errors_are_reported_in_one_line() -> None:
    assert describe(ValueError("\n\n first \n second"), None) == "first"
    assert describe(ValueError("x" * 500), None) == "x" * 199 + "…"
    assert describe(KeyError(), None) == "KeyError"
