"""The options of the task `glue`, and its construction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen, validators

from bebertlab.api import (
    EXCLUDED_FROM_KEY,
    SELECT,
    TRAIN,
    SetupError,
    Task,
    TaskOptions,
    UserError,
    environment_folder,
    split_off_select,
)
from bebertlab_glue.catalogue import CATALOGUE, TaskName
from bebertlab_glue.caveats import data_caveats, subset_caveats
from bebertlab_glue.folder import Reading, read_folder
from bebertlab_glue.hub import HUB_NAME, read_hub
from bebertlab_glue.table import ExampleTable

FOLDER_VARIABLE = "BEBERTLAB_GLUE"


@frozen(kw_only=True)
class Glue(TaskOptions):
    """A task of the GLUE benchmark.

    The test labels are not public, so the validation set is reported; checkpoints and member weights are chosen on
    `select`, which is split off from the training set: stratified by class, and phrases of one sentence or pairs that
    share a text stay in one split.
    """

    kind = "glue"
    revision = 3
    name: TaskName  #: of the task
    #: folder of Parquet files, as <task>/<split>.parquet or as on the hub; null: that of BEBERTLAB_GLUE, else the hub
    path: Path | None = field(default=None, metadata=EXCLUDED_FROM_KEY)
    download: bool = False  #: fetch from the hub where there is no folder; false reads the hub's local cache only
    nonofficial: bool = False  #: take files named as subsets or rebuilt splits where the official one is missing
    select_fraction: float = field(
        default=0.1, validator=[validators.gt(0), validators.lt(1)]
    )  #: part of the training set that becomes `select`
    select_most: int = field(default=2000, validator=validators.ge(1))  #: examples in `select` at the most
    group: str | None = None  #: column of the training set, such as a document; equal values stay in one split
    limit: int | None = field(default=None, validator=validators.optional(validators.ge(2)))  #: examples of each set

    def load(self) -> Task:
        """Read and check the data, and split off `select`."""
        entry = CATALOGUE[self.name]
        set_names = {TRAIN: TRAIN, **entry.validation}
        reading = Reading(entry=entry, limit=self.limit, group=self.group)
        tables = self._read(reading, set_names)
        splits = {name: table.split(name) for name, table in tables.items()}
        try:
            train, select = split_off_select(splits[TRAIN], fraction=self.select_fraction, most=self.select_most)
        except UserError as error:
            raise UserError(f"{tables[TRAIN].origin}: {error}") from error
        splits = {TRAIN: train, SELECT: select, **{name: splits[name] for name in entry.validation}}
        return Task(
            name=f"glue/{self.name}",
            classes=entry.classes,
            data_order=entry.hub_classes,
            splits=splits,
            metrics=entry.metrics,
            score=entry.score,
            caveats=(*subset_caveats(self.name, tables, self.limit), *data_caveats(entry, tables, train)),
        )

    def _read(self, reading: Reading, set_names: Mapping[str, str]) -> dict[str, ExampleTable]:
        folder = self.path or environment_folder(FOLDER_VARIABLE)
        if folder is not None:
            return read_folder(folder, self.name, reading, set_names, nonofficial=self.nonofficial)
        try:
            return read_hub(self.name, reading, set_names, download=self.download)
        except SetupError as error:
            raise SetupError(
                f"{error}; name a folder with {self.name}/train.parquet and so on by `path` of the task"
                f" (--set task.path=DIR) or by the variable {FOLDER_VARIABLE}"
                + ("" if self.download else f", or let it be fetched from {HUB_NAME} by --set task.download=true")
            ) from error
