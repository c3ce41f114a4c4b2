from __future__ import annotations

import pytest

from bebertlab.interfaces.values import identity, same


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (0, None, False),
        (1, "1", False),
        (2**60, 2**60 + 1, False),
        (0.1, 0.1 + 1e-16, False),
        ([1, 2.0], (1.0, 2), True),
        ([1, 2], [2, 1], False),
        ({"kind": "x", "n": 1}, {"n": 1.0, "kind": "x"}, True),
        ({"a": {"b": 1}}, {"a": {"b": True}}, False),
    ],
)
def test_equality_of_plain_values(first: object, second: object, equal: bool) -> None:
    assert same(first, second) is equal
    assert (identity(first) == identity(second)) is equal
