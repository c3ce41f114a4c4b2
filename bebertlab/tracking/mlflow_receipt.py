"""A record of what was last written to MLflow, kept with the study: a finished study need not open MLflow again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs
from attrs import field, frozen, validators

from bebertlab.files import parse_json
from bebertlab.formats import MLFLOW_RECEIPT

_FILE = "mlflow.json"

#: the run of a receipt; MLflow has had these tables and columns since its first release
_RUN = """
    SELECT runs.artifact_uri FROM runs JOIN experiments ON runs.experiment_id = experiments.experiment_id
    WHERE runs.run_uuid = ? AND experiments.experiment_id = ? AND runs.status = ?
    AND runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'
"""
_TRIALS = """
    SELECT COUNT(*) FROM runs JOIN tags ON runs.run_uuid = tags.run_uuid
    WHERE tags.key = 'mlflow.parentRunId' AND tags.value = ?
    AND runs.lifecycle_stage = 'active' AND runs.status IN ('FINISHED', 'FAILED')
"""


@frozen(kw_only=True)
class Receipt:
    """A study that was written completely."""

    content: str = field(validator=validators.instance_of(str))  #: hash of everything that was written, and of where
    experiment: str = field(validator=validators.instance_of(str))  #: identifier
    run: str = field(validator=validators.instance_of(str))  #: identifier of the study's run
    status: str = field(validator=validators.instance_of(str))  #: of the study's run
    trials: int = field(validator=validators.instance_of(int))  #: runs of finished trials
    files: tuple[str, ...] = field(
        validator=validators.instance_of(tuple)
    )  #: artifacts of the study's run, relative to their folder


def write_receipt(receipt: Receipt, folder: Path) -> None:
    """Write a receipt into the folder of its study."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{_FILE}.part"
    new.write_text(json.dumps({"format": MLFLOW_RECEIPT.number, **attrs.asdict(receipt)}, indent=1), encoding="utf-8")
    new.replace(folder / _FILE)


def read_receipt(folder: Path) -> Receipt | None:
    """The receipt in the folder of a study; None without one of this format: the study is written to MLflow again."""
    try:
        data = parse_json((folder / _FILE).read_bytes())
        if not MLFLOW_RECEIPT.matches(data.pop("format")):
            return None
        return Receipt(**{**data, "files": tuple(data["files"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_intact(receipt: Receipt, database: Path) -> bool:
    """Whether an SQLite database still has all runs of a receipt, and the artifacts still exist.

    False if the tables are not as expected: MLflow must look then.
    """
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            run = connection.execute(_RUN, (receipt.run, receipt.experiment, receipt.status)).fetchone()
            (trials,) = connection.execute(_TRIALS, (receipt.run,)).fetchone()
    except sqlite3.Error:
        return False
    if run is None or trials != receipt.trials:
        return False
    address = urlsplit(str(run[0]))
    folder = Path(unquote(address.path))
    return address.scheme in ("", "file") and all((folder / name).is_file() for name in receipt.files)
