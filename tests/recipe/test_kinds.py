from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import attrs
import pytest

from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.recipe.kinds import alternatives, class_at, default_of, fields_of, items_of, role_of
from bebertlab.train.options import TrainOptions

if TYPE_CHECKING:
    from tests.recipe.conftest import Toy


def test_the_kind_that_is_written_decides_the_class(toy: Toy) -> None:
    document = toy.document("a: {kind: low}\nb: high\nc: lo\nd: {bits: 3}\ne: 4")
    found = [class_at(document, (key,), SchemeOptions | None, toy.registry) for key in "abcdef"]
    assert [cls and cls.kind for cls in found] == ["low", "high", None, None, None, None]


def test_a_class_without_kinds_is_itself(toy: Toy) -> None:
    assert class_at(toy.document("a: 1"), ("a",), TrainOptions, toy.registry) is TrainOptions
    assert class_at(toy.document("a: 1"), ("a",), int, toy.registry) is None


def test_types_may_be_wrapped() -> None:
    assert role_of(Annotated[SchemeOptions | None, "why"]) == "scheme"
    assert alternatives(int) == (int,)


def test_defaults_are_made(toy: Toy) -> None:
    low = toy.registry.find("scheme", "low")
    assert default_of(fields_of(low)["bits"]) == 2
    assert getattr(default_of(fields_of(low)["quantizer"]), "bits", None) == 8
    other = toy.registry.find("task", "other")
    assert default_of(fields_of(other)["path"]) is attrs.NOTHING


@pytest.mark.parametrize(
    ("data", "of", "expected"),
    [
        ([1, 2], tuple[int, ...], [(0, 1, int), (1, 2, int)]),
        ([1, "a"], tuple[int, str], [(0, 1, int), (1, "a", str)]),
        ([1], list[int] | None, [(0, 1, int)]),
        ({"a": 1}, Mapping[str, int], [("a", 1, int)]),
        ({"a": 1}, tuple[int, ...], []),
        ("a", str | tuple[str, ...], []),
        (["a"], str | tuple[str, ...], [(0, "a", str)]),
        ([1], int, []),
    ],
)
def test_items_come_with_their_types(data: object, of: object, expected: list[object]) -> None:
    assert list(items_of(data, of)) == expected
