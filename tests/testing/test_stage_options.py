from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import field, frozen, validators

from bebertlab.interfaces.stage import (
    EXCLUDED_FROM_KEY,
    EXCLUDED_FROM_KEY_IF_PATH,
    Context,
    Inputs,
    StageOptions,
    stage_input,
)
from bebertlab.testing import StageRunner
from bebertlab.testing.stage_options import changes, check_options
from bebertlab.training.options import TrainOptions


@frozen(kw_only=True)
class Options(StageOptions):
    kind = "options"
    model: str = stage_input()
    train: TrainOptions = field(factory=TrainOptions)
    fraction: float = field(default=1.0, validator=[validators.gt(0), validators.le(1)])
    most: int = field(default=1, validator=validators.le(1))
    limit: int | None = field(default=None, validator=validators.optional(validators.ge(8)))
    scale: float | None = None
    mode: Literal["mean", "sum"] | None = None
    flag: bool = False
    name: str = "a"
    sizes: Mapping[str, int] = field(factory=dict)
    folder: Path | None = field(default=None, metadata=EXCLUDED_FROM_KEY)
    source: str | None = field(default=None, metadata=EXCLUDED_FROM_KEY_IF_PATH)

    def run(self, inputs: Inputs, context: Context) -> None:
        raise NotImplementedError


def test_each_option_gets_another_valid_value() -> None:
    stage = Options(model="m")
    changed = {name: getattr(other, name) for name, other in changes(stage, {"model", "folder", "source"})}
    assert changed == {
        "seed": 1,
        "train": TrainOptions(epochs=stage.train.epochs + 1),
        "fraction": 0.5,
        "most": 0,
        "limit": 8,
        "scale": 0.5,
        "mode": "mean",
        "flag": True,
        "name": "a-other",
    }


def test_options_that_survive_yaml_and_exclude_paths_only(tmp_path: Path) -> None:
    stage = Options(model="m", folder=tmp_path, source="bert-base-uncased")
    check_options(stage, StageRunner(tmp_path, kinds=[Options]).codec)
