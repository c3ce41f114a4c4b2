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
            name: tuple(pair[place] for pair in _PAIRS if pair[place] != name)
            for place in (0, 1)
            for name in {pair[place] for pair in _PAIRS}
        },
        "sentence": ("text", "sentence1", "sentence2"),  # of a single one, and the second one of QNLI
    }
)


@frozen(kw_only=True)
class Reading:
    """How sets are read."""

    entry: CatalogueEntry
    limit: int | None = None  #: rows of each set; what comes after them is not looked at
    group: str | None = None  #: column of the training set with names of groups

    def of(self, split: str) -> Reading:
        """How a split is read: only the training set is divided by groups."""
        return self if split == TRAIN else evolve(self, group=None)


def read_folder(
    folder: Path, name: str, reading: Reading, wanted: Mapping[str, str], *, nonofficial: bool
) -> dict[str, ExampleTable]:
    """The sets of a task, by the task's own split names.

    Raises:
        SetupError: the folder or a set is not there.
        UserError: a file is damaged or missing from a set, or a column is missing, or what is in it is not what it
            should be.
    """
    home = find_home(folder, name)
    files = {split: find_set(home, stored, nonofficial=nonofficial) for split, stored in wanted.items()}
    return {split: _read(found, reading.of(split)) for split, found in files.items()}


def _read(found: FoundSet, reading: Reading) -> ExampleTable:
    import datasets
    import pyarrow.parquet

    for one in found.files:
        check_file(one)
    origin = str(found.files[0]) if len(found.files) == 1 else f"{found.files[0]} and {len(found.files) - 1} more"
    datasets.disable_progress_bars()
    # `datasets` writes an Arrow copy of what it reads: keep that out of the user's home
    with tempfile.TemporaryDirectory(prefix="bebertlab-glue-") as cache, _quiet():
        file = found.files[0]
        try:
            rows = 0
            for file in found.files:
                rows += pyarrow.parquet.read_metadata(file).num_rows
            if not rows:  # which `datasets` takes for damage
                raise UserError(f"{origin}: it has no rows")
            files = [str(one) for one in found.files]
            data = datasets.Dataset.from_parquet(files, cache_dir=cache, keep_in_memory=True)
        except UserError:
            raise
        except Exception as error:  # datasets and pyarrow raise errors of many kinds for a damaged file
            raise UserError(
                f"{file}: not a readable parquet file ({error.__cause__ or error}); fetch it again"
            ) from error
        return to_table(data, origin, reading, unofficial=found.unofficial)


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


def to_table(data: Any, origin: str, reading: Reading, *, unofficial: bool = False) -> ExampleTable:  # noqa: ANN401 - untyped
    """The checked table of a `datasets.Dataset`.

    Raises:
        UserError: a column is missing, or what is in it is not what it should be.
    """
    entry = reading.entry
    columns = [entry.text, *([entry.pair] if entry.pair else []), "label", *([reading.group] if reading.group else [])]
    for column in columns:
        if column not in data.column_names:
            raise UserError(f"{origin}: no column '{column}'; {_like(column, data.column_names)}")
    numbered = [IDX] if IDX in data.column_names else []
    chosen = data.select_columns(list(dict.fromkeys([*columns, *numbered])))
    rows = (chosen if reading.limit is None else chosen.select(range(min(reading.limit, len(chosen))))).to_dict()
    return check_table(
        origin,
        entry,
        numbers=rows.get(IDX),
        texts=rows[entry.text],
        pairs=rows[entry.pair] if entry.pair else None,
        labels=rows["label"],
        groups=rows[reading.group] if reading.group else None,
        # a file that says its classes is believed, whatever their order; plain numbers are the hub's
        stored_classes=getattr(data.features["label"], "names", None),
        unofficial=unofficial,
    )


def _like(column: str, there: Sequence[str]) -> str:
    """What the column may be called instead."""
    alias = next((name for name in _ALIASES.get(column, ()) if name in there), None)
    return f"rename '{alias}' if it holds that" if alias else suggestion(column, there)
