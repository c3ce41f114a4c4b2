"""The options of the task `glue`, and how it is put together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from attrs import field, frozen, validators

from bebertlab.api import SELECT, TRAIN, EnvironmentFault, Split, Task, TaskOptions
from bebertlab_glue.carve import carve
from bebertlab_glue.catalogue import CATALOGUE, Entry, TaskName
from bebertlab_glue.folder import read_folder
from bebertlab_glue.hub import HUB_NAME, read_hub
from bebertlab_glue.table import Table

FOLDER_VARIABLE = "BEBERTLAB_GLUE"


@frozen(kw_only=True)
class Glue(TaskOptions):
    """A task of the GLUE benchmark.

    The test labels are not public, so the validation set is what is reported; what is chosen is chosen on `select`,
    which is carved from the training set: stratified by class, and no text stands on both sides.
    """

    kind = "glue"
    name: TaskName  #: of the task
    #: folder with <task>/<split>.parquet in the hub's columns; null takes the variable BEBERTLAB_GLUE, else the hub
    path: Path | None = None
    download: bool = False  #: fetch from the hub where there is no folder; false reads the hub's local cache only
    nonofficial: bool = False  #: take files named as subsets or rebuilt splits where the official one is missing
    select_fraction: float = field(
        default=0.1, validator=[validators.gt(0), validators.lt(1)]
    )  #: part of the training set that becomes `select`
    select_most: int = field(default=2000, validator=validators.ge(1))  #: examples in `select` at the most
    limit: int | None = field(default=None, validator=validators.optional(validators.ge(2)))  #: examples of each set

    def load(self) -> Task:
        """Read, check and carve."""
        entry = CATALOGUE[self.name]
        wanted = {TRAIN: TRAIN, **entry.validation}
        tables = self._read(entry, wanted)
        if self.limit is not None:
            tables = {name: table.first(self.limit) for name, table in tables.items()}
        train, select = carve(tables.pop(TRAIN), self.select_fraction, self.select_most)
        splits = {
            TRAIN: train.split(TRAIN),
            SELECT: select.split(TRAIN),  # the ids say where an example came from
            **{name: table.split(name) for name, table in tables.items()},
        }
        unofficial = any(table.unofficial for table in (train, *tables.values()))
        return Task(
            name=f"glue/{self.name}" + (" (not the official splits)" if unofficial else ""),
            classes=entry.classes,
            splits=splits,
            metrics=entry.metrics,
            score=entry.score,
            digest=_digest(self.name, splits),
        )

    def _read(self, entry: Entry, wanted: Mapping[str, str]) -> dict[str, Table]:
        folder = self.path or _from_environment()
        if folder is not None:
            return read_folder(folder, self.name, entry, wanted, nonofficial=self.nonofficial)
        try:
            return read_hub(self.name, entry, wanted, download=self.download)
        except EnvironmentFault as error:
            raise EnvironmentFault(
                f"{error}; name a folder with {self.name}/train.parquet and so on by `path` of the task"
                f" (--set task.path=DIR) or by the variable {FOLDER_VARIABLE}"
                + ("" if self.download else f", or let it be fetched from {HUB_NAME} by --set task.download=true")
            ) from error


def _from_environment() -> Path | None:
    value = os.environ.get(FOLDER_VARIABLE)
    return Path(value) if value else None


def _digest(name: str, splits: Mapping[str, Split]) -> str:
    """sha256 of everything in the splits, in order."""
    digest = hashlib.sha256(name.encode())
    for role in sorted(splits):
        split = splits[role]
        digest.update(f"\0{role}\0{len(split)}\0".encode())
        for column in (split.ids, split.texts, split.pairs or ()):
            digest.update("\0".join(column).encode())
        digest.update(np.ascontiguousarray(split.labels).tobytes())
    return digest.hexdigest()
