"""A recipe as a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from attrs import field, frozen

from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions
from bebertlab.interfaces.task import TaskOptions
from bebertlab.training.options import TrainOptions

EXTENDS = "extends"  #: key of a recipe's file: another file, over which it is laid
PER_TASK = "per_task"  #: section of a recipe: settings by the name of the task

Stage = StageOptions | StageGroupOptions
STAGE = cast("type[Stage]", Stage)  #: for codecs, which take a class


@frozen(kw_only=True)
class Recipe:
    """A graph of stages over one task and one encoder."""

    schema_version: Literal[1] = 1
    description: str = ""  #: one sentence, shown to users
    task: TaskOptions = field()
    encoder: EncoderOptions = field()
    seed: int = 0  #: of every stage that sets none
    train: TrainOptions = field(factory=TrainOptions)  #: defaults of all `TrainOptions` in stages
    stages: Mapping[str, Stage] = field()  #: by name, in the order of the file
    #: the stage whose metrics are the recipe's result; null: every stage that no other stage reads
    result: str | None = None
