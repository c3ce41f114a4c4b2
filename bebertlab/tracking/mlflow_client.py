"""Where MLflow stores its data, how it is opened, and how a person looks at it."""

from __future__ import annotations

import logging
import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from bebertlab.errors import SetupError
from bebertlab.locations import expand_home
from bebertlab.redact import redact_error, redact_word

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: settings of MLflow, unless the user set them: no telemetry, and a server that does not answer costs seconds instead
#: of the four minutes of seven retries
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
LOCK_SECONDS = 5.0  #: to wait for another process that writes the database
_NOISY = ("mlflow", "alembic", "sqlalchemy", "urllib3.connectionpool")
_SQLITE = "sqlite:///"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
NAME_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
ID_VARIABLE = "MLFLOW_EXPERIMENT_ID"


def default_uri(work: Path) -> str:
    """The address of the SQLite file of a work folder."""
    return sqlite_uri(default_database(work))


def default_database(work: Path) -> Path:
    """The SQLite file of a work folder."""
    return work.resolve() / "mlflow.db"


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite file, with any characters in its path.

    >>> sqlite_uri(Path("/tmp/w/mlflow.db")), sqlite_uri(Path("/tmp/50% ?/mlflow.db"))
    ('sqlite:////tmp/w/mlflow.db', 'sqlite:///%2Ftmp%2F50%25 %3F%2Fmlflow.db')

    Raises:
        SetupError: the installed SQLAlchemy cannot open such a path.
    """
    text = str(path)
    if not set(text) & {"?", "%"}:
        return f"{_SQLITE}{text}"
    # slashes too: MLflow mistakes the address for a path and creates its parent folder
    uri = _SQLITE + text.replace("%", "%25").replace("?", "%3F").replace("/", "%2F")
    if sqlite_path(uri) != path:
        raise SetupError(f"{path}: MLflow cannot open a database with ? or % in its path; choose another folder")
    return uri


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite address; None for a database in memory and for other addresses."""
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(uri).database
    except ArgumentError:  # MLflow reports what is wrong with it
        return None
    return None if database in (None, "", ":memory:") else Path(database)


def tracking_uri(given: str | None, work: Path) -> str:
    """Where runs are written: the given address, else MLflow's environment variable, else a file of the work folder.

    `~` in the path of an SQLite file or of a folder is the home folder.

    Raises:
        UserError: it begins with `~` and an unknown user name.
    """
    uri = _written_uri(given)
    if not uri:
        return default_uri(work)
    if uri.startswith("~"):
        return expand_home(uri)
    path = sqlite_path(uri)
    if path is None or not str(path).startswith("~"):
        return uri
    return sqlite_uri(path.expanduser())


def check_uri(given: str | None) -> None:
    """Check the address of MLflow before anything runs.

    Raises:
        UserError: it begins with `~` and an unknown user name.
    """
    if written := _written_uri(given):
        tracking_uri(written, Path())


def shown_uri(given: str | None, work: Path) -> str:
    """Where runs are written, for messages: without a password."""
    return redact_word(_written_uri(given) or str(work.resolve() / "mlflow.db"))


def _written_uri(given: str | None) -> str | None:
    return given or os.environ.get(URI_VARIABLE)


def experiment_name(client: MlflowClient, study: str) -> str:
    """The experiment of a study: that of MLflow's environment variables, else one with the study's name."""
    if name := os.environ.get(NAME_VARIABLE):
        return name
    if identifier := os.environ.get(ID_VARIABLE):
        return str(client.get_experiment(identifier).name)
    return f"bebertlab/{study}"


def artifact_root(work: Path) -> Path:
    """The folder for artifacts if MLflow uses a database file of this work folder."""
    return work.resolve() / "mlartifacts"


def connect(uri: str, work: Path) -> MlflowClient:
    """A client; the database of an SQLite `uri` is created first if it is missing.

    Raises:
        SetupError: the file cannot be opened.
    """
    _quieten()
    path = sqlite_path(uri)
    if path is not None:
        _create_database(path, artifact_root(work))
        _check_opens(path)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def open_command(uri: str, work: Path) -> str:
    """The shell command that serves MLflow's pages on port 5000, with *** in place of a password.

    >>> open_command("sqlite:////tmp/w/mlflow.db", Path("/tmp/w")).split()[:3]
    ['MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false', 'mlflow', 'server']
    """
    # the job runners of the server would be eight more processes and 1.4 GB
    command = ["mlflow", "server", "--workers", "1", "--backend-store-uri", redact_word(uri)]
    command += ["--default-artifact-root", artifact_root(work).as_uri()]
    return f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {shlex.join(command)}"


def fragment(experiment: str, run: str | None = None) -> str:
    """The fragment of the address that shows the runs of an experiment, or one run.

    >>> fragment("1", "ab")
    '#/experiments/1/runs/ab?workflowType=machine_learning'
    """
    page = f"#/experiments/{experiment}/runs" + (f"/{run}" if run else "")
    return f"{page}?workflowType=machine_learning"  # otherwise the pages open in the mode for language models


def describe(error: Exception, given: str | None) -> str:
    """The first line of an error, shortened and without passwords; `given` is the address, as above."""
    text = redact_error(str(error), _written_uri(given) or "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first if len(first) <= 200 else f"{first[:199]}…"


def _quieten() -> None:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401 - it sets up its loggers when it is imported

    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # errors are raised too, and reported in one line


def _check_opens(path: Path) -> None:
    """Check that SQLite can open and write a file: MLflow would retry for almost two minutes."""
    try:
        with closing(sqlite3.connect(path, timeout=LOCK_SECONDS)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise SetupError(f"{error}; expected an SQLite file that can be written") from error


def _create_database(path: Path, artifacts: Path) -> None:
    """Create the schema once, in another file and under a lock.

    Two processes that create it in place would break the file permanently, and so would a kill in between.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        unfinished = path.with_name(f"{path.name}.part")
        _remove(unfinished)
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        try:
            store = SqlAlchemyStore(sqlite_uri(unfinished.resolve()), artifacts.as_uri())
            store.engine.dispose()
            unfinished.replace(path)
        finally:
            _remove(unfinished)  # on a full disk the stages need the space


def _remove(database: Path) -> None:
    for path in (database, database.with_name(f"{database.name}-journal")):
        path.unlink(missing_ok=True)
