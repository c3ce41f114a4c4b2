"""The options of stages and groups under test: written and read again, changed one by one, expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.schema import ChoiceType, Schema, fields_of
from bebertlab.errors import UserError
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import (
    StageGroupOptions,
    StageOptions,
    excluded_fields,
    input_fields,
    input_names,
    may_be_name,
)
from bebertlab.pipeline.recipe import STAGE, Stage
from bebertlab.testing.contract import call, require
from bebertlab.training.options import TrainOptions

OptionsType = TypeVar("OptionsType", bound=Options)

_GROUP = "group"


def check_options(stage: Stage, codec: OptionsCodec) -> None:
    """Check that options survive being written and read, and which are excluded from the key."""
    again = call("loading its own options", lambda: codec.load(codec.dump(stage), STAGE))
    require(again == stage, f"its options become {codec.dump(again)} when they are written and read again")
    for field in fields_of(type(stage)).values():
        attribute = field.attribute
        if attribute.name not in excluded_fields(type(stage)):
            continue
        expected = str if may_be_name(attribute) else Path
        require(
            field.schema.takes(expected),
            f"option '{attribute.name}' is excluded from the key and is not a {expected.__name__}: another value would"
            " find the artifact of this one",
        )


def check_expansion(group: StageGroupOptions) -> Mapping[str, StageOptions]:
    """The stages of a group, whose names and inputs are checked; every option of the group reaches one of them."""
    stages = call("expand()", lambda: group.expand(_GROUP))
    require(bool(stages), "expand() returns no stage")
    require(stages == group.expand(_GROUP), "expand() returns other stages when asked again")
    outside = {value for names in input_names(group).values() for value in names}
    for name, stage in stages.items():
        require(isinstance(stage, StageOptions), f"expand() returns {type(stage).__name__} for {name}, not a stage")
        require(name.startswith(f"{_GROUP}.") and name != f"{_GROUP}.", f"stage {name} is not named {_GROUP}.<name>")
        unknown = {value for names in input_names(stage).values() for value in names} - outside - stages.keys()
        require(not unknown, f"{name} reads {', '.join(sorted(unknown))}, which is neither an input nor of the group")
    for option, changed in changes(group, skipped=set(input_fields(type(group)))):
        other = _expanded(changed)
        require(other is None or other != stages, f"option '{option}' reaches none of the stages of the group")
    return stages


def _expanded(group: StageGroupOptions) -> Mapping[str, StageOptions] | None:
    """The stages of a group; None where its options do not go together."""
    try:
        return group.expand(_GROUP)
    except UserError:
        return None


def changes(stage: OptionsType, skipped: AbstractSet[str]) -> Iterator[tuple[str, OptionsType]]:
    """The options with another valid value of each option in turn, by the name of the option."""
    for alias, field in fields_of(type(stage)).items():
        name = field.attribute.name
        if name in skipped:
            continue
        for value in _other_values(getattr(stage, name), field.schema):
            try:
                changed = evolve(stage, **{alias: value})
            except (UserError, ValueError, TypeError):
                continue  # a validator refuses it
            yield name, changed
            break


def _other_values(value: object, of: Schema) -> Iterator[Any]:
    """Other values that an option of a type may take, the likely ones first; none where the type is not simple."""
    if choices := [choice for type_ in of.alternatives if isinstance(type_, ChoiceType) for choice in type_.values]:
        yield from (choice for choice in choices if choice != value)
    elif isinstance(value, TrainOptions):
        yield evolve(value, epochs=value.epochs + 1)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value / 2, value * 2, value + 1)
    elif isinstance(value, str):
        yield f"{value}-other"
    elif value is None and of.takes(int):
        yield from (1, 8, 64)
    elif value is None and of.takes(float):
        yield from (0.5, 1.0)
