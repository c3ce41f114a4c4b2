"""Parts for tests: stages that sleep, count how often they ran, and write a number."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen, validators

from bebertlab.api import (
    GENERATED,
    Checkpoint,
    Context,
    EncoderOptions,
    EnsembleOptions,
    Inputs,
    Metric,
    Split,
    StageGroupOptions,
    StageOptions,
    Task,
    TaskOptions,
    UserError,
    hookimpl,
    stage_input,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@frozen(kw_only=True)
class FakeTask(TaskOptions):
    """Four sentences."""

    kind = "fake"
    size: int = field(default=4, validator=validators.ge(1))  #: not used

    def load(self) -> Task:
        def split(name: str) -> Split:
            return Split(ids=(name,), texts=("a",), pairs=None, labels=np.zeros(1, dtype=np.int64))

        splits = {name: split(name) for name in ("train", "select", "validation")}
        return Task(
            name=f"fake/{self.size}",
            classes=("a", "b"),
            splits=splits,
            metrics=(Metric(name="accuracy", compute=lambda answers: 1.0),),
            score="accuracy",
            caveats=(GENERATED,),
        )


@frozen(kw_only=True)
class FakeEncoder(EncoderOptions):
    """An encoder without weights."""

    kind = "fake"
    layers: int = 1  #: not used

    @property
    def maximum_tokens(self) -> int:
        return 8

    def digest(self) -> str:
        return ""

    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        raise NotImplementedError

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        raise NotImplementedError


@frozen(kw_only=True)
class FakeStage(StageOptions):
    """Sleeps, writes a line into the file that FAKE_LOG names, and writes a number."""

    kind = "fake"
    model: str | None = stage_input(optional=True, many=True)  #: its inputs
    size: int = field(default=1, validator=validators.ge(1))  #: part of its number
    ensemble: EnsembleOptions | None = None  #: part of its number
    rate: float = field(default=1.0, validator=validators.gt(0))  #: part of its number
    sleep: float = 0.0  #: seconds
    fault: str = (
        ""  #: raise, nan or silent at size 2; flaky: raise while FAKE_FAULT is a file; gpu: name the visible GPUs
    )
    metric: str = "validation/score"  #: name of its number

    def run(self, inputs: Inputs, context: Context) -> None:
        note(f"{context.stage} {context.seed} {os.getpid()}")
        for part in range(10):
            time.sleep(self.sleep / 10)
            context.progress((part + 1) / 10, f"part {part + 1}/10")
        if self.fault == "raise" and self.size == 2:
            raise ValueError("size 2 is broken")
        if self.fault == "mend" and os.path.exists(os.environ["FAKE_FAULT"]):
            raise UserError("not fixed yet")
        if self.fault == "gpu":
            raise UserError(f"sees GPU {os.environ.get('CUDA_VISIBLE_DEVICES')}")
        before = [json.loads((a.folder / "metrics.json").read_text())["number"] for a in inputs.many("model")]
        number = sum(before) + self.size + context.seed / 10 + (0 if self.ensemble is None else len(self.ensemble.kind))
        score = math.nan if self.fault == "nan" and self.size == 2 else number * self.rate
        metrics = {"number": number, self.metric: score}
        if self.fault == "silent":
            del metrics[self.metric]
        (context.folder / "metrics.json").write_text(json.dumps(metrics))


@frozen(kw_only=True)
class FakeReader(FakeStage):
    """Names a file."""

    kind = "fake-reader"
    file: Path | None = None  #: not read


@frozen(kw_only=True)
class FakeGroup(StageGroupOptions):
    """Several fakes."""

    kind = "fakes"
    model: str = stage_input()  #: their inputs
    size: int = field(default=1, validator=validators.ge(1))  #: how many
    ensemble: EnsembleOptions | None = None  #: passed on
    sleep: float = 0.0  #: seconds of each

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        if self.ensemble is not None and self.ensemble.kind == "single" and self.size > 1:
            raise UserError(f"single has one member, not {self.size}")
        return {
            f"{name}.{i}": FakeStage(model=self.model, size=i + 1, ensemble=self.ensemble, sleep=self.sleep)
            for i in range(self.size)
        }


def note(line: str) -> None:
    if "FAKE_LOG" in os.environ:
        with Path(os.environ["FAKE_LOG"]).open("a") as file:
            file.write(line + "\n")


@hookimpl
def bebertlab_tasks() -> list[type[TaskOptions]]:
    return [FakeTask]


@hookimpl
def bebertlab_encoders() -> list[type[EncoderOptions]]:
    return [FakeEncoder]


@hookimpl
def bebertlab_stages() -> list[type[StageOptions] | type[StageGroupOptions]]:
    return [FakeStage, FakeReader, FakeGroup]
