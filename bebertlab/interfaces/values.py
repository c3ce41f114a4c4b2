"""Equality of plain values, as used in all comparisons of the points of a study."""

from __future__ import annotations

import json
from collections.abc import Mapping


def identity(value: object) -> str:
    """A text that is equal exactly for equal values: 1 and 1.0 are equal, 1 and true are not.

    >>> identity({"b": 1, "a": True}) == identity({"a": True, "b": 1.0}), identity(1) == identity(True)
    (True, False)
    """
    return json.dumps(_normalized(value), sort_keys=True, default=str, ensure_ascii=False)


def same(first: object, second: object) -> bool:
    """Whether two plain values are equal.

    >>> same(1, 1.0), same(1, True), same([1], [1])
    (True, False, True)
    """
    return identity(first) == identity(second)


def _normalized(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _normalized(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_normalized(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
