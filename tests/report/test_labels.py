from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.report.labels import bounds, count, listing, number, short_names, signed, value_label
from bebertlab.report.statistics import Interval

PATHS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map(".".join), unique=True, max_size=5)


@given(PATHS)
def test_short_names_are_unambiguous(paths: list[str]) -> None:
    names = short_names(paths)
    assert len(set(names.values())) == len(paths)
    assert all(path == short or path.endswith(f".{short}") for path, short in names.items())


def test_kind_alone_is_not_a_short_name() -> None:
    assert short_names(["members.ensemble.kind", "train.epochs"])["members.ensemble.kind"] == "ensemble.kind"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (None, "null"),
        ([1, 2.5], "[1, 2.5]"),
        ({"kind": "lsq"}, "lsq"),
        ({}, "{}"),
        ({"kind": "bit", "activation_bits": 2, "weight_bits": 1}, "bit W1A2"),
        ({"kind": "bitnet", "activation_bits": 8}, "bitnet A8"),
        ({"activation_bits": 8, "kind": "bit", "shift": True}, "bit A8 (shift=true)"),
        (False, "false"),
        ("two-stage", "two-stage"),
    ],
)
def test_values_are_formatted(value: object, label: str) -> None:
    assert value_label(value) == label


def test_zero_has_no_sign() -> None:
    assert (signed(0.001), signed(-0.001), number(-0.0)) == ("0.00", "0.00", "0.00")
    assert signed(-2.0) == "-2.00"


def test_bounds_may_be_missing() -> None:
    assert bounds(Interval(1.0, None, None, 1)) == "no interval"
    assert bounds(Interval(1.0, 0.5, 1.5, 3), sign=False) == "0.50 to 1.50"


def test_labels_of_points_are_formatted() -> None:
    assert (count(1, "pair"), count(1234, "pair")) == ("1 pair", "1,234 pairs")
    assert (listing([]), listing(["a"]), listing(["a", "b"])) == ("", "a", "a and b")
