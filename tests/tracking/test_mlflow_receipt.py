from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.tracking.mlflow_receipt import Receipt, is_intact, read_receipt, write_receipt

RECEIPT = Receipt(content="c", experiment="1", run="parent", status="FINISHED", trials=2, files=("report.md",))


@pytest.fixture
def written(database: Path, tmp_path: Path) -> Path:
    """A database of MLflow with one study of two trials."""
    artifacts = tmp_path / "art ifacts"
    artifacts.mkdir()
    (artifacts / "report.md").touch()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (1, 'x', 'active')")
        for run in ("parent", "a", "b"):
            connection.execute(
                "INSERT INTO runs (run_uuid, status, lifecycle_stage, artifact_uri, experiment_id)"
                " VALUES (?, 'FINISHED', 'active', ?, 1)",
                (run, artifacts.as_uri()),
            )
        for run in ("a", "b"):
            connection.execute("INSERT INTO tags VALUES ('mlflow.parentRunId', 'parent', ?)", (run,))
    return database


def test_a_receipt_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_receipt(RECEIPT, tmp_path / "new")
    assert read_receipt(tmp_path / "new") == RECEIPT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.json"]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"content": 1}'])
def test_a_file_that_is_not_a_receipt_is_ignored(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "mlflow.json").write_text(text)
    assert read_receipt(tmp_path) is None


def test_runs_as_they_were_written_are_intact(written: Path) -> None:
    assert is_intact(RECEIPT, written)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = 'parent'",
        "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = 'a'",
        "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = 'parent'",
        "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = 'b'",
        "UPDATE experiments SET lifecycle_stage = 'deleted' WHERE experiment_id = 1",
        "DELETE FROM tags",
        "DROP TABLE tags",
    ],
)
def test_a_change_in_the_database_is_seen(written: Path, statement: str) -> None:
    with closing(sqlite3.connect(written)) as connection, connection:
        connection.execute(statement)
    assert not is_intact(RECEIPT, written)


def test_missing_files_and_databases_are_seen(written: Path, tmp_path: Path) -> None:
    assert not is_intact(evolve(RECEIPT, files=("report.md", "report.html")), written)
    assert not is_intact(RECEIPT, tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()
