"""Reading a local folder of parquet files."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from bebertlab.api import TRAIN, UserError, check_file, suggestion
from bebertlab_glue.catalogue import CatalogueEntry
from bebertlab_glue.files import FoundSet, find_home, find_set
from bebertlab_glue.table import IDX, ExampleTable, check_table

_PAIRS = (
    *(("sentence1", "sentence2"), ("question1", "question2"), ("premise", "hypothesis"), ("question", "sentence")),
    *(("text1", "text2"), ("text_a", "text_b")),
)

#: names that mirrors give to the columns of the hub's `nyu-mll/glue`
_ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "label": ("labels", "gold_label", "score", "similarity_score", "is_duplicate", "target", "class"),
        **{
            name: tuple(pair[index] for pair in _PAIRS if pair[index] != name)
            for index in (0, 1)
            for name in {pair[index] for pair in _PAIRS}
        },
        "sentence": ("text", "sentence1", "sentence2"),  # of a single one, and the second one of QNLI
    }
)


@frozen(kw_only=True)
class Reading:
    """How sets are read."""

    entry: CatalogueEntry
    limit: int | None = None  #: rows of each set; the others are not read
    group: str | None = None  #: column of the training set with the names of groups

    def of(self, split: str) -> Reading:
        """How a split is read: only the training set has groups."""
        return self if split == TRAIN else evolve(self, group=None)


def read_folder(
    folder: Path, name: str, reading: Reading, set_names: Mapping[str, str], *, nonofficial: bool
) -> dict[str, ExampleTable]:
    """The sets of a task, by the split names of the task.

    Raises:
        SetupError: the folder or a set is missing.
        UserError: a file is damaged, a set lacks a file, a column is missing, or a value is not valid.
    """
    home = find_home(folder, name)
    sets = {split: find_set(home, stored, nonofficial=nonofficial) for split, stored in set_names.items()}
    return {split: _read(file_set, reading.of(split)) for split, file_set in sets.items()}


def _read(file_set: FoundSet, reading: Reading) -> ExampleTable:
    import datasets
    import pyarrow.parquet

    for file in file_set.files:
        check_file(file)
    origin = (
        str(file_set.files[0])
        if len(file_set.files) == 1
        else f"{file_set.files[0]} and {len(file_set.files) - 1} more"
    )
    datasets.disable_progress_bars()
    # `datasets` writes an Arrow copy of what it reads: not into the user's home folder
    with tempfile.TemporaryDirectory(prefix="bebertlab-glue-") as cache, _quiet():
        file = file_set.files[0]
        try:
            rows = 0
            for file in file_set.files:
                rows += pyarrow.parquet.read_metadata(file).num_rows
            if not rows:  # `datasets` would report a damaged file
                raise UserError(f"{origin}: no rows")
            files = [str(path) for path in file_set.files]
            data = datasets.Dataset.from_parquet(files, cache_dir=cache, keep_in_memory=True)
        except UserError:
            raise
        except Exception as error:  # datasets and pyarrow raise errors of many kinds for a damaged file
            raise UserError(
                f"{file}: not a readable parquet file ({error.__cause__ or error}); fetch it again"
            ) from error
        return to_table(data, origin, reading, unofficial=file_set.unofficial)


@contextmanager
def _quiet() -> Iterator[None]:
    """Prevent `datasets` from printing what the error reports."""
    log = logging.getLogger("datasets")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def to_table(data: Any, origin: str, reading: Reading, *, unofficial: bool = False) -> ExampleTable:  # noqa: ANN401 - untyped
    """The checked table of a `datasets.Dataset`.

    Raises:
        UserError: a column is missing, or a value is not valid.
    """
    entry = reading.entry
    columns = [entry.text, *([entry.pair] if entry.pair else []), "label", *([reading.group] if reading.group else [])]
    for column in columns:
        if column not in data.column_names:
            raise UserError(f"{origin}: no column '{column}'; {_hint(column, data.column_names)}")
    numbered = [IDX] if IDX in data.column_names else []
    selected = data.select_columns(list(dict.fromkeys([*columns, *numbered])))
    rows = (selected if reading.limit is None else selected.select(range(min(reading.limit, len(selected))))).to_dict()
    return check_table(
        origin,
        entry,
        numbers=rows.get(IDX),
        texts=rows[entry.text],
        pairs=rows[entry.pair] if entry.pair else None,
        labels=rows["label"],
        groups=rows[reading.group] if reading.group else None,
        # the order of the classes is that of the file if it names them, otherwise that of the hub
        stored_classes=getattr(data.features["label"], "names", None),
        unofficial=unofficial,
    )


def _hint(column: str, names: Sequence[str]) -> str:
    """A hint at other names of the column."""
    alias = next((name for name in _ALIASES.get(column, ()) if name in names), None)
    return f"rename '{alias}' if it contains that" if alias else suggestion(column, names)
