"""Where MLflow keeps its data, how it is opened, and how a person looks at it."""

from __future__ import annotations

import logging
import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from bebertlab.errors import EnvironmentFault

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: of MLflow's own settings, where the user has not said otherwise: nothing is sent home, and a server that does not
#: answer costs seconds, not the four minutes of seven retries
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_NOISY = ("mlflow", "alembic", "sqlalchemy", "urllib3.connectionpool")
_SQLITE = "sqlite:///"


def default_uri(work: Path) -> str:
    """The SQLite file of a work folder."""
    return f"{_SQLITE}{work.resolve() / 'mlflow.db'}"


def artifact_root(work: Path) -> Path:
    """The folder for artifacts where MLflow runs on a database file of this work folder."""
    return work.resolve() / "mlartifacts"


def connect(uri: str, work: Path) -> MlflowClient:
    """A client; the database of an SQLite `uri` is created first where it is missing.

    Raises:
        EnvironmentFault: the file cannot be opened.
    """
    _quieten()
    if uri.startswith(_SQLITE):
        path = Path(uri.removeprefix(_SQLITE))
        _create_database(path, artifact_root(work))
        _check_opens(path)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def open_command(uri: str, work: Path) -> str:
    """The shell command that serves MLflow's pages at port 5000.

    >>> open_command("sqlite:////tmp/w/mlflow.db", Path("/tmp/w")).split()[:3]
    ['MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false', 'mlflow', 'server']
    """
    # the job runners of the server would be eight more processes and 1.4 GB
    words = ["mlflow", "server", "--workers", "1", "--backend-store-uri", uri]
    words += ["--default-artifact-root", artifact_root(work).as_uri()]
    return f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {shlex.join(words)}"


def fragment(experiment: str, run: str | None = None) -> str:
    """The part of the address behind the server's that shows an experiment's runs, or one run.

    >>> fragment("1", "ab")
    '#/experiments/1/runs/ab?workflowType=machine_learning'
    """
    page = f"#/experiments/{experiment}/runs" + (f"/{run}" if run else "")
    return f"{page}?workflowType=machine_learning"  # else the pages come in the mode for language models


def describe(error: Exception) -> str:
    """An error in one line of reasonable length, without the class names and links that libraries add."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"


def _quieten() -> None:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401 - it sets its loggers up when it is imported

    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _check_opens(path: Path) -> None:
    """MLflow would try for almost two minutes."""
    try:
        with closing(sqlite3.connect(path, timeout=5)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise EnvironmentFault(f"{error}; it should be an SQLite file that can be written") from error


def _create_database(path: Path, artifacts: Path) -> None:
    """Create the schema once, aside and under a lock.

    Two processes that create it in place break the file for good, and so does a kill half-way.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        half = path.with_name(f"{path.name}.part")
        for rest in (half, half.with_name(f"{half.name}-journal")):
            rest.unlink(missing_ok=True)
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(f"{_SQLITE}{half}", artifacts.as_uri())
        store.engine.dispose()
        half.replace(path)
