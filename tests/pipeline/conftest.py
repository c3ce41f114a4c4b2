"""Toy parts: a recipe with them runs in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pytest
import torch
from attrs import evolve, field, frozen, validators

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import YamlDocument
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Checkpoint, QuantSpec
from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import (
    Codec,
    Composition,
    Context,
    Inputs,
    QuantSpecs,
    StageGroupOptions,
    StageOptions,
    stage_input,
)
from bebertlab.interfaces.task import Metric, Split, Task, TaskOptions
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.registry import PluginSource, Registry
from bebertlab.store.store import Store
from bebertlab.training.options import TrainOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@frozen(kw_only=True)
class ToyTask(TaskOptions):
    """Numbers."""

    kind = "toy"
    size: int = field(default=4, validator=validators.ge(1))

    def load(self) -> Task:
        text = tuple(map(str, range(self.size)))
        split = Split(ids=text, texts=text, pairs=None, labels=np.zeros(self.size, dtype=np.int64))
        return Task(
            name="toy",
            classes=("no", "yes"),
            splits={"train": split},
            metrics=(Metric(name="accuracy", compute=lambda answers: 0.0),),
            score="accuracy",
        )


@frozen(kw_only=True)
class OtherTask(TaskOptions):
    """Numbers from a path."""

    kind = "other"
    path: Path = field()

    def load(self) -> Task:
        raise UserError("never loaded")


@frozen(kw_only=True)
class ToyEncoder(EncoderOptions):
    """An encoder without weights."""

    kind = "toy"
    text: str = "files"

    @property
    def maximum_tokens(self) -> int:
        return 8

    def digest(self) -> str:
        return f"hash of {self.text}"

    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        raise NotImplementedError

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        raise NotImplementedError


@frozen(kw_only=True)
class RoundOptions(QuantizerOptions):
    """Rounds."""

    kind = "round"
    bits: int = 8

    def build(self, shape: torch.Size) -> Quantizer:
        raise NotImplementedError


@frozen(kw_only=True)
class LowScheme(SchemeOptions):
    """A few bits everywhere."""

    kind = "low"
    bits: int = 2
    quantizer: QuantizerOptions = field(factory=RoundOptions)

    def spec(self) -> QuantSpec:
        return QuantSpec()


@frozen(kw_only=True)
class HighScheme(SchemeOptions):
    """Many bits everywhere."""

    kind = "high"
    scale: float = 1.0

    def spec(self) -> QuantSpec:
        return QuantSpec()


@frozen(kw_only=True)
class NoneOptions(DistillationOptions):
    """No teacher."""

    kind = "none"

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(name="labels"),)


@frozen(kw_only=True)
class TaughtOptions(DistillationOptions):
    """A teacher."""

    kind = "taught"
    temperature: float = field(default=1.0, validator=validators.gt(0))

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(name="taught"),)


@frozen(kw_only=True)
class MakeStage(StageOptions):
    """Writes a text without inputs."""

    kind = "make"
    train: TrainOptions = field(factory=TrainOptions)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(spec=QuantSpec())

    def run(self, inputs: Inputs, context: Context) -> None:
        write(context, [])


@frozen(kw_only=True)
class ChangeStage(StageOptions):
    """Writes a text from that of its input."""

    kind = "change"
    model: str = stage_input()
    teacher: str | None = stage_input(optional=True)
    scheme: SchemeOptions | None = None
    distillation: DistillationOptions = field(factory=NoneOptions)
    mode: Literal["fine", "raise", "refuse"] = "fine"
    train: TrainOptions = field(factory=TrainOptions)

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        if isinstance(self.distillation, TaughtOptions) and self.teacher is None:
            raise UserError("'taught' needs a teacher")
        return self if isinstance(self.distillation, TaughtOptions) else evolve(self, teacher=None)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(spec=self.scheme.spec() if self.scheme else inputs["model"][0])

    def run(self, inputs: Inputs, context: Context) -> None:
        if self.mode == "raise":
            raise ZeroDivisionError("a defect")
        if self.mode == "refuse":
            raise UserError(f"{context.stage}: not with me")
        write(context, [*inputs.many("model"), *inputs.many("teacher")])


@frozen(kw_only=True)
class TeamStage(StageGroupOptions):
    """Several changes in a row."""

    kind = "team"
    model: str = stage_input()
    size: int = 2
    train: TrainOptions = field(factory=TrainOptions)

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        if self.size > 9:
            raise UserError("a team has at most 9 members")
        previous = [self.model, *(f"{name}.{i}" for i in range(self.size))]
        return {f"{name}.{i}": ChangeStage(model=previous[i], train=self.train) for i in range(self.size)}


@frozen(kw_only=True)
class CountStage(StageOptions):
    """Counts its inputs."""

    kind = "count"
    of: str | tuple[str, ...] = stage_input(many=True)

    def run(self, inputs: Inputs, context: Context) -> None:
        write(context, inputs.many("of"))


def write(context: Context, artifacts: Iterable[Any]) -> None:
    """Write a text that lists its sources, and a metric."""
    made_of = [(artifact.folder / "text").read_text() for artifact in artifacts]
    context.progress(0.5, "half")
    (context.folder / "text").write_text(f"{context.seed}({','.join(made_of)})")
    (context.folder / "metrics.json").write_text(json.dumps({"inputs": len(made_of)}))


PARTS: tuple[tuple[type[Options], type[Options]], ...] = (
    (TaskOptions, ToyTask),
    (TaskOptions, OtherTask),
    (EncoderOptions, ToyEncoder),
    (QuantizerOptions, RoundOptions),
    (SchemeOptions, LowScheme),
    (SchemeOptions, HighScheme),
    (DistillationOptions, NoneOptions),
    (DistillationOptions, TaughtOptions),
    (StageOptions, MakeStage),
    (StageOptions, ChangeStage),
    (StageOptions, CountStage),
    (StageGroupOptions, TeamStage),
)

RECIPE = """\
schema_version: 1
description: a toy
task: {kind: toy}
encoder: {kind: toy}
seed: 3
train: {epochs: 5, learning_rate: 1e-3}
stages:
  teacher: {kind: make}
  student:
    kind: change
    model: teacher
    teacher: teacher
    scheme: {kind: low, bits: 1}
    distillation: taught
    train: {epochs: 2}
  team: {kind: team, model: student}
  score: {kind: count, of: team}
"""


@frozen(eq=False)
class Toy:
    """Everything that a test of recipes needs."""

    registry: Registry
    codec: OptionsCodec
    materials: TaskCache
    store: Store
    text: str = RECIPE

    def document(self, text: str | None = None) -> YamlDocument:
        """The document of a recipe's text, by default that of the toy recipe."""
        return parse_yaml(self.text if text is None else text, "toy.yaml")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    registry = Registry().extended(PARTS, PluginSource(plugin="toy", distribution="toy 1"))
    codec = OptionsCodec(registry)
    return Toy(registry, codec, TaskCache(codec), Store(tmp_path / "store"))


@pytest.fixture(autouse=True)
def _cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warm-up: toy stages train nothing."""
    monkeypatch.setattr("bebertlab.pipeline.execute.warm_up", lambda task: None)


@pytest.fixture
def toy_with(toy: Toy) -> Callable[[str, str], Toy]:
    """The toy recipe with one part of its text replaced."""

    def replaced(old: str, new: str) -> Toy:
        assert toy.text.count(old) == 1, old
        return evolve(toy, text=toy.text.replace(old, new))

    return replaced
