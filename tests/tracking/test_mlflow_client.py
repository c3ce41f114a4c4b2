from __future__ import annotations

import logging
import os
import shlex
import threading
from pathlib import Path

import pytest

from bebertlab.errors import EnvironmentFault
from bebertlab.tracking.mlflow_client import artifact_root, connect, default_uri, describe, fragment, open_command

pytestmark = [
    pytest.mark.slow,
    # SQLAlchemy's deprecations inside MLflow
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")


def test_the_database_is_whole_however_many_open_it_at_once(tmp_path: Path) -> None:
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


def test_an_existing_database_is_left_alone(database: Path) -> None:
    before = database.stat().st_mtime_ns
    connect(f"sqlite:///{database}", database.parent)
    assert database.stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", ["a folder", "no database"])
def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mlflow.db"
    if kind == "a folder":
        path.mkdir()
    else:
        path.write_text("no database at all, but a text of some length " * 9)
    with pytest.raises(EnvironmentFault, match="it should be an SQLite file that can be written"):
        connect(default_uri(tmp_path), tmp_path)


def test_libraries_keep_quiet(database: Path) -> None:
    connect(f"sqlite:///{database}", database.parent)
    assert not logging.getLogger("mlflow.store.db.utils").isEnabledFor(logging.INFO)
    assert not logging.getLogger("alembic.runtime.migration").isEnabledFor(logging.INFO)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_command_can_be_pasted(tmp_path: Path) -> None:
    work = tmp_path / "a folder"
    words = shlex.split(open_command(default_uri(work), work))
    assert words[0] == "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"
    assert words[words.index("--backend-store-uri") + 1] == f"sqlite:///{work}/mlflow.db"
    assert words[words.index("--default-artifact-root") + 1] == artifact_root(work).as_uri()
    assert fragment("7").startswith("#/experiments/7/runs?")


def test_errors_are_told_in_one_line() -> None:
    assert describe(ValueError("\n\n first \n second")) == "first"
    assert describe(ValueError("x" * 500)) == "x" * 199 + "…"
    assert describe(KeyError()) == "KeyError"
