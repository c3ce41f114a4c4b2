from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import evolve, field, frozen, validators

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import EnsembleOptions
from bebertlab.interfaces.stage import Context, Inputs, StageGroupOptions, StageOptions
from bebertlab.pipeline.graph import expand
from bebertlab.pipeline.read import recipe_of
from bebertlab.pipeline.train_defaults import TrainDefaults, trains
from bebertlab.registry.registry import PluginSource, Registry
from bebertlab.training.options import TrainOptions
from tests.pipeline.conftest import PARTS


@frozen(kw_only=True)
class LongTrainOptions(TrainOptions):
    """More of it."""

    rounds: int = field(default=1, validator=validators.ge(1))


@frozen(kw_only=True)
class Plan:
    """Several trainings."""

    steps: tuple[TrainOptions, ...] = ()
    named: Mapping[str, TrainOptions] = field(factory=dict)
    last: TrainOptions | None = None
    seconds: int = 1


@frozen(kw_only=True)
class TrainedEnsemble(EnsembleOptions):
    """A part that trains something itself."""

    kind = "trained"
    inner: TrainOptions = field(factory=TrainOptions)

    def build(self, classes: int) -> Any:  # noqa: ANN401 - never built
        raise NotImplementedError

    def merger(self, classes: int) -> Any:  # noqa: ANN401 - never built
        raise NotImplementedError


@frozen(kw_only=True)
class Stage(StageOptions):
    """Trains nothing."""

    kind = "idle"

    def run(self, inputs: Inputs, context: Context) -> None:
        raise NotImplementedError


@frozen(kw_only=True)
class Renamed(Stage):
    """By other names."""

    kind = "renamed"
    training: TrainOptions = field(factory=TrainOptions)
    long: LongTrainOptions = field(factory=LongTrainOptions)
    patient: TrainOptions = field(factory=lambda: TrainOptions(epochs=50, warmup=0.0))


@frozen(kw_only=True)
class Optional(Stage):
    """The option may be null."""

    kind = "optional"
    train: TrainOptions | None = None


@frozen(kw_only=True)
class Nested(Stage):
    """Inside of other options."""

    kind = "nested"
    plan: Plan = field(factory=lambda: Plan(steps=(TrainOptions(epochs=7),), seconds=9))
    spare: Plan | None = None
    ensemble: EnsembleOptions = field(factory=TrainedEnsemble)


@frozen(kw_only=True)
class HiddenDistanceOptions(Stage):
    """Nested where it cannot be set."""

    kind = "hidden"
    train: TrainOptions = field(init=False, factory=TrainOptions)


@frozen(kw_only=True)
class Required(Stage):
    """Without a default."""

    kind = "required"
    train: TrainOptions = field()


Make = Callable[[TrainOptions, int], TrainOptions]
GROUPS: dict[str, Make] = {
    "passes": lambda train, index: train,
    "halves": lambda train, index: evolve(train, learning_rate=train.learning_rate / 2**index),
    "short": lambda train, index: evolve(train, epochs=1),
    "forgets": lambda train, index: train if index else TrainOptions(),
    "partly": lambda train, index: TrainOptions(epochs=train.epochs),
}


def group(name: str, make: Make) -> type[StageGroupOptions]:
    """A group of two stages that are trained with the options of `make`."""

    @frozen(kw_only=True)
    class Group(StageGroupOptions):
        """Two stages."""

        kind = name
        train: TrainOptions = field(factory=TrainOptions)

        def expand(self, name: str) -> Mapping[str, StageOptions]:
            return {f"{name}.{index}": Required(train=make(self.train, index)) for index in range(2)}

    return Group


@frozen(kw_only=True)
class WithoutTrain(StageGroupOptions):
    """Has no `TrainOptions`, but a number of epochs."""

    kind = "without"
    epochs: int = 3

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        if self.epochs > 99:
            raise UserError("too long")
        return {f"{name}.0": Required(train=TrainOptions(epochs=self.epochs))}


@frozen(kw_only=True)
class Idle(StageGroupOptions):
    """Trains nothing."""

    kind = "idles"

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        return {f"{name}.0": Stage()}


SINGLE = (Stage, Renamed, Optional, Nested, HiddenDistanceOptions, Required)
CODEC = OptionsCodec(
    Registry().extended(
        (
            *PARTS,
            (EnsembleOptions, TrainedEnsemble),
            *((StageOptions, cls) for cls in SINGLE),
            *((StageGroupOptions, group(name, make)) for name, make in GROUPS.items()),
            (StageGroupOptions, WithoutTrain),
            (StageGroupOptions, Idle),
        ),
        PluginSource(plugin="toy", distribution="toy 1"),
    )
)
TRAIN = "{learning_rate: 1e-4, epochs: 4}"


def read(stage: str, train: str = TRAIN) -> Mapping[str, Any]:
    """The single stages of a recipe of one stage `s`."""
    text = f"task: toy\nencoder: toy\ntrain: {train}\nstages:\n  s: {stage}\n"
    return expand(recipe_of(parse_yaml(text, "r.yaml"), CODEC).stages).stages


def error_of(stage: str, train: str = TRAIN) -> str:
    with pytest.raises(UserError) as caught:
        read(stage, train)
    return str(caught.value)


def test_defaults_apply_by_the_type_of_an_option_not_its_name() -> None:
    stage = read("{kind: renamed, long: {rounds: 2, epochs: 9}}")["s"]
    assert stage.training == TrainOptions(learning_rate=1e-4, epochs=4)
    assert stage.long == LongTrainOptions(learning_rate=1e-4, epochs=9, rounds=2)
    assert trains(stage)
    assert read("renamed")["s"].long == LongTrainOptions(learning_rate=1e-4, epochs=4)
    assert read("required")["s"].train == TrainOptions(learning_rate=1e-4, epochs=4)


def test_other_defaults_of_a_stage_stay() -> None:
    assert read("renamed")["s"].patient == TrainOptions(learning_rate=1e-4, epochs=4, warmup=0.0)
    assert read("renamed", "{batch_size: 8}")["s"].patient == TrainOptions(batch_size=8, epochs=50, warmup=0.0)


def test_an_optional_option_gets_the_defaults_unless_it_is_null() -> None:
    assert read("optional")["s"].train == TrainOptions(learning_rate=1e-4, epochs=4)
    assert read("{kind: optional, train: {epochs: 1}}")["s"].train == TrainOptions(learning_rate=1e-4, epochs=1)
    stage = read("{kind: optional, train: null}")["s"]
    assert stage.train is None
    assert not trains(stage)


def test_nested_options_get_the_defaults() -> None:
    both = TrainOptions(learning_rate=1e-4, epochs=4)
    stage = read("{kind: nested, plan: {steps: [{epochs: 2}, {}], named: {a: {}}}, spare: {}}")["s"]
    assert stage.plan == Plan(steps=(evolve(both, epochs=2), both), named={"a": both}, last=both)
    assert stage.spare == Plan(last=both)
    assert stage.ensemble == TrainedEnsemble(inner=both)
    assert read("{kind: nested, ensemble: trained}")["s"].ensemble == TrainedEnsemble(inner=both)
    default = read("nested")["s"]
    assert default.plan == Plan(steps=(both,), last=both, seconds=9)
    assert default.spare is None
    assert default.ensemble == TrainedEnsemble(inner=both)


def test_an_error_in_a_stage_is_reported_at_the_stage() -> None:
    actual = error_of("{kind: renamed, patient: {epochs: x}}")
    assert actual == "r.yaml:5:40: stages.s.patient.epochs: expected an integer, got 'x'"


def test_an_option_that_cannot_be_set_is_refused() -> None:
    expected = "the recipe's `train` does not reach all that 'hidden' trains: learning_rate would be 5e-05, not 0.0001"
    assert error_of("hidden") == f"r.yaml:5:6: stages.s: {expected}, epochs would be 3, not 4"
    assert read("hidden", "{epochs: 3}")["s"].train.epochs == 3


@pytest.mark.parametrize(
    ("kind", "rates", "epochs"),
    [("passes", [1e-4, 1e-4], [4, 4]), ("halves", [1e-4, 5e-5], [4, 4]), ("short", [1e-4, 1e-4], [1, 1])],
)
def test_a_group_that_passes_the_defaults_on_may_change_them(kind: str, rates: list[float], epochs: list[int]) -> None:
    stages = list(read(kind).values())
    assert [stage.train.learning_rate for stage in stages] == rates  # half of 1e-4 is the default of the class
    assert [stage.train.epochs for stage in stages] == epochs


def test_settings_of_a_group_win() -> None:
    stages = read("{kind: passes, train: {epochs: 3}}")
    assert {stage.train for stage in stages.values()} == {TrainOptions(learning_rate=1e-4, epochs=3)}


@pytest.mark.parametrize(
    ("kind", "stages", "lost"),
    [
        ("forgets", "s.0", "learning_rate would be 5e-05, not 0.0001, epochs would be 3, not 4"),
        ("partly", "s.0, s.1", "learning_rate would be 5e-05, not 0.0001"),
        ("without", "s.0", "learning_rate would be 5e-05, not 0.0001, epochs would be 3, not 4"),
        ("{kind: without, epochs: 3}", "s.0", "learning_rate would be 5e-05, not 0.0001, epochs would be 3, not 4"),
        ("{kind: without, epochs: 9}", "s.0", "learning_rate would be 5e-05, not 0.0001"),
    ],
)
def test_a_group_that_does_not_pass_the_defaults_on_is_refused(kind: str, stages: str, lost: str) -> None:
    name = kind.strip("{}").removeprefix("kind: ").partition(",")[0]
    expected = (
        f"the group '{name}' does not pass the recipe's `train` on to {stages}: {lost}; it needs an option of type"
    )
    assert error_of(kind).startswith(f"r.yaml:5:6: stages.s: {expected}")


def test_a_group_may_omit_options_that_are_the_default_or_unset() -> None:
    for kind in GROUPS:
        read(kind, "{learning_rate: 5e-5, epochs: 3}")
        read(kind, "{}")
    assert read("{kind: without, epochs: 9}", "{epochs: 4}")["s.0"].train.epochs == 9


def test_a_group_without_training_needs_no_defaults() -> None:
    for kind in ("idle", "idles"):
        assert not any(map(trains, read(kind).values()))


def test_options_that_train_nothing_are_unchanged() -> None:
    document = parse_yaml("train: {epochs: 4}\nstages: {a: idle, b: {kind: idle, seed: 3}, c: optional}", "r.yaml")
    stages = TrainDefaults.of(document, CODEC).document.data["stages"]
    assert stages == {
        "a": "idle",
        "b": {"kind": "idle", "seed": 3},
        "c": {"kind": "optional", "train": {"epochs": 4}},
    }


def test_an_error_of_a_group_is_reported_once() -> None:
    assert error_of("{kind: without, epochs: 100}") == "r.yaml:5:6: stages.s: too long"
