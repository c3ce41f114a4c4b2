from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import pytest
from attrs import field, frozen

from bebertlab.config.schema import ChoiceType, ListType, RoleType, ScalarType, fields_of, schema_of
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.ensemble import Sampling
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions
from bebertlab.registry.registry import PluginSource, Registry
from bebertlab.training.options import TrainOptions


@frozen(kw_only=True)
class Low(SchemeOptions):
    kind = "low"
    bits: int = 2
    sites: Mapping[str, int] = field(factory=lambda: {"query": 8})
    scale: float = field(init=False, default=1.0)
    total: int = field()
    _hidden: str | None = None

    @total.default
    def _sum(self) -> int:
        return self.bits + 1

    def spec(self) -> QuantSpec:
        return QuantSpec()


@frozen(kw_only=True)
class High(SchemeOptions):
    kind = "high"

    def spec(self) -> QuantSpec:
        return QuantSpec()


REGISTRY = Registry().extended(((SchemeOptions, Low), (SchemeOptions, High)), PluginSource(plugin="test"))


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (bool, "true or false"),
        (Any, "anything"),
        (type(None), "null"),
        (Annotated[int, "bits"], "an integer"),
        (Path | None, "a path or null"),
        (int | Literal["auto"], "an integer or one of 'auto'"),
        (tuple[int, str], "a list of 2: an integer, text"),
        (frozenset[str], "a list, each item text"),
        (tuple[int | None, ...] | None, "a list, each item an integer or null or null"),
        (Mapping[str, float], "a mapping, each value a number"),
        (Sampling, "one of 'all', 'bootstrap', 'resample', 'reweight', 'subset'"),
        (LossOptions, "a loss"),
        (EncoderOptions, "an encoder"),
        (StageOptions | StageGroupOptions, "a stage"),
        (tuple[LossOptions, ...], "a list, each item a loss"),
    ],
)
def test_types_are_formatted_for_users(annotation: object, text: str) -> None:
    assert str(schema_of(annotation)) == text


def test_a_nested_class_shows_its_keys() -> None:
    assert str(schema_of(Phase)).startswith("a mapping (name, losses, ")


def test_unions_are_flat_and_in_order_and_options_are_one_alternative() -> None:
    schema = schema_of(Annotated[StageOptions | str | Annotated[StageGroupOptions | None, "b"], "a"])
    assert schema.alternatives == (RoleType((StageOptions, StageGroupOptions)), ScalarType(str))
    assert schema.nullable
    assert schema.role == schema.alternatives[0]
    assert not schema_of(int).nullable
    assert schema_of(int).role is None
    # equal as unions, and tried in the order in which they are written
    assert schema_of(int | float).alternatives == (ScalarType(int), ScalarType(float))
    assert schema_of(float | int).alternatives == (ScalarType(float), ScalarType(int))


def test_choices_keep_values_that_are_equal_and_of_other_types() -> None:
    (choice,) = schema_of(Literal[1, True, "a"]).alternatives
    assert isinstance(choice, ChoiceType)
    assert [type(value) for value in choice.values] == [int, bool, str]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (list[int], [1, 1]),
        (tuple[int, ...], (1, 1)),
        (tuple[int, int], (1, 1)),
        (Sequence[int], (1, 1)),
        (Collection[int], (1, 1)),
        (set[int], {1}),
        (frozenset[int], frozenset([1])),
        (AbstractSet[int], frozenset([1])),
    ],
)
def test_lists_become_the_annotated_type(annotation: object, value: object) -> None:
    (alternative,) = schema_of(annotation).alternatives
    assert isinstance(alternative, ListType)
    built = alternative.build([1, 1])
    assert built == value
    assert type(built) is type(value)


def test_a_type_without_a_form_in_yaml_is_a_scalar() -> None:
    annotation = Callable[[], int]
    assert schema_of(annotation).alternatives == (ScalarType(annotation),)


def test_scalars_are_accepted_if_they_are_alternatives() -> None:
    assert schema_of(Path | None).takes(Path)
    assert not schema_of(Path | None).takes(str)
    assert not schema_of(tuple[Path, ...]).takes(Path)


def test_the_written_kind_determines_the_class() -> None:
    schema = schema_of(SchemeOptions | None)
    written: list[object] = [{"kind": "low"}, "high", "lo", {"bits": 3}, 4, None]
    assert [schema.class_of(data, REGISTRY) for data in written] == [Low, High, None, None, None, None]


def test_a_class_without_kinds_is_used_itself() -> None:
    assert schema_of(TrainOptions | None).class_of(1, REGISTRY) is TrainOptions
    assert schema_of(int).class_of(1, REGISTRY) is None


@pytest.mark.parametrize(
    ("data", "of", "expected"),
    [
        ([1, 2], tuple[int, ...], [(0, 1, int), (1, 2, int)]),
        ([1, "a"], tuple[int, str], [(0, 1, int), (1, "a", str)]),
        ([1, "a", 2], tuple[int, str], [(0, 1, int), (1, "a", str), (2, 2, str)]),
        ([1], list[int] | None, [(0, 1, int)]),
        ({"a": 1}, Mapping[str, int], [("a", 1, int)]),
        ({"a": 1}, tuple[int, ...], []),
        ("a", str | tuple[str, ...], []),
        (["a"], str | tuple[str, ...], [(0, "a", str)]),
        ([1], int, []),
    ],
)
def test_items_come_with_their_types(data: object, of: object, expected: list[object]) -> None:
    assert [(key, item, schema.annotation) for key, item, schema in schema_of(of).items(data)] == expected


def test_fields_have_their_names_in_yaml_and_their_defaults() -> None:
    fields = fields_of(Low)
    assert {name: field.attribute.name for name, field in fields.items()} == {
        "bits": "bits",
        "sites": "sites",
        "total": "total",
        "hidden": "_hidden",
    }
    assert fields["hidden"].schema == schema_of(str | None)
    assert fields["bits"].default == 2
    assert fields["sites"].default == {"query": 8}
    assert fields["total"].default is attrs.NOTHING  # it depends on another field
    assert fields_of(Low) is fields
