from __future__ import annotations

from typing import Any

import pytest

from bebertlab.interfaces.architecture import ATTENTION_SITES, WEIGHT_SITES, Architecture, QuantSpec, Site

SIZES: dict[str, Any] = {
    "vocabulary": 9,
    "positions": 8,
    "hidden": 6,
    "heads": 2,
    "head_size": 4,
    "ffn": 5,
    "layers": 1,
}


def test_every_site_is_a_weight_or_an_activation() -> None:
    assert sorted([*WEIGHT_SITES, *ATTENTION_SITES]) == sorted(Site)


def test_heads_times_head_size_may_differ_from_hidden() -> None:
    assert Architecture(**SIZES, classes=1).heads * 4 != SIZES["hidden"]


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"heads": 1.5}, {"activation": "swish"}])
def test_invalid_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        Architecture(**{**SIZES, "classes": 2, **wrong})


def test_replacing_branches_keeps_the_rest_of_a_specification() -> None:
    spec = QuantSpec(activation="relu")
    split = spec.with_branches({"bert.pooler.dense": 2})
    assert (split.branches, split.activation) == ({"bert.pooler.dense": 2}, "relu")
    assert spec.branches == {}
