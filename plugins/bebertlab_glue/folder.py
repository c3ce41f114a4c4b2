"""Reading a local folder of parquet files."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bebertlab.api import EnvironmentFault, UserError, check_file, suggestion
from bebertlab_glue.catalogue import Entry
from bebertlab_glue.table import Table, check_table

_SUFFIX = ".parquet"
#: in the name of a file that is not the official set
_MARKS = ("nonofficial", "subset")


def read_folder(
    folder: Path, name: str, entry: Entry, wanted: Mapping[str, str], *, nonofficial: bool
) -> dict[str, Table]:
    """The sets of a task, by the task's own split names.

    Raises:
        EnvironmentFault: the folder or a set is not there.
        UserError: a file is damaged, or a column is missing, or what is in it is not what it should be.
    """
    home = folder / name
    if not home.is_dir():
        there = [one.name for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
        found = f"there: {', '.join(sorted(there))}" if there else "there is no such folder"
        raise EnvironmentFault(f"{home}: no folder of the task '{name}' ({found}); it should hold train{_SUFFIX} ...")
    files = {split: _find(home, stored, nonofficial=nonofficial) for split, stored in wanted.items()}
    return {split: _read(file, entry) for split, file in files.items()}


def _find(home: Path, stored: str, *, nonofficial: bool) -> Path:
    """The file of a set: the official one, or a marked one where the user allows it."""
    official = home / f"{stored}{_SUFFIX}"
    if official.is_file():
        return official
    marked = sorted(file for file in home.glob(f"{stored}_*{_SUFFIX}") if _is_unofficial(file))
    if marked and nonofficial:
        return marked[0]
    if marked:
        raise EnvironmentFault(
            f"{official}: the official set is not there, only {marked[0].name};"
            " --set task.nonofficial=true takes it, and the results are no GLUE scores then"
        )
    found = ", ".join(sorted(file.stem for file in home.glob(f"*{_SUFFIX}"))) or "none"
    raise EnvironmentFault(f"{official}: no such file; sets found in {home}: {found}")


def _is_unofficial(file: Path) -> bool:
    return any(mark in file.stem for mark in _MARKS)


def _read(file: Path, entry: Entry) -> Table:
    import datasets
    import pyarrow.parquet

    check_file(file)
    datasets.disable_progress_bars()
    # `datasets` writes an Arrow copy of what it reads: keep that out of the user's home
    with tempfile.TemporaryDirectory(prefix="bebertlab-glue-") as cache, _quiet():
        try:
            if not pyarrow.parquet.read_metadata(file).num_rows:  # which `datasets` takes for damage
                raise UserError(f"{file}: it has no rows")
            data = datasets.Dataset.from_parquet(str(file), cache_dir=cache, keep_in_memory=True)
        except UserError:
            raise
        except Exception as error:  # datasets and pyarrow raise errors of many kinds for a damaged file
            raise UserError(
                f"{file}: not a readable parquet file ({error.__cause__ or error}); fetch it again"
            ) from error
        return to_table(data, str(file), entry, unofficial=_is_unofficial(file))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep `datasets` from writing on the terminal what the error says."""
    log = logging.getLogger("datasets")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def to_table(data: Any, origin: str, entry: Entry, *, unofficial: bool = False) -> Table:  # noqa: ANN401 - untyped
    """The checked table of a `datasets.Dataset`.

    Raises:
        UserError: a column is missing, or what is in it is not what it should be.
    """
    columns = [entry.text, *([entry.pair] if entry.pair else []), "label", "idx"]
    for column in columns:
        if column not in data.column_names:
            raise UserError(f"{origin}: no column '{column}'; {suggestion(column, data.column_names)}")
    rows = data.select_columns(columns).to_dict()
    # a file that says its classes is believed, whatever their order; plain numbers are the hub's
    stored_classes = getattr(data.features["label"], "names", None)
    return check_table(
        origin,
        entry,
        numbers=rows["idx"],
        texts=rows[entry.text],
        pairs=rows[entry.pair] if entry.pair else None,
        labels=rows["label"],
        stored_classes=stored_classes,
        unofficial=unofficial,
    )
