from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
from attrs import field, frozen

from bebertlab.interfaces.ensemble import Floats, Merger, MergerOptions
from bebertlab.testing.contract import ContractError
from bebertlab.testing.ensemble import check_merger

Rule = Callable[[Floats, Floats], Floats]


def mean(logits: Floats, weights: Floats) -> Floats:
    merged: Floats = np.einsum("m,mnc->nc", weights / weights.sum(), logits)
    return merged


class FunctionMerger(Merger):
    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def merge(self, logits: Floats, weights: Floats) -> Floats:
        return self.rule(logits, weights)


@frozen(kw_only=True)
class FunctionMergerOptions(MergerOptions):
    kind: ClassVar[str] = "given"
    rule: Rule = field(default=mean)

    def build(self, classes: int) -> Merger:
        return FunctionMerger(self.rule)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_correct_merger_passes(classes: int) -> None:
    check_merger(FunctionMergerOptions(), classes)


def first_counts_double(logits: Floats, weights: Floats) -> Floats:
    return mean(np.concatenate([logits[:1], logits]), np.concatenate([weights[:1], weights]))


def relative_to_the_batch(logits: Floats, weights: Floats) -> Floats:
    merged = mean(logits, weights)
    centred: Floats = merged - merged.mean(axis=0)
    return centred


def in_place(logits: Floats, weights: Floats) -> Floats:
    logits *= 2
    return mean(logits, weights)


BROKEN: dict[str, tuple[Rule, str]] = {
    "order": (first_counts_double, "order of the members"),
    "scale": (lambda z, w: np.einsum("m,mnc->nc", np.exp(w) / np.exp(w).sum(), z), "scale of the weights"),
    "batch": (relative_to_the_batch, "merged together|single member"),
    "shape": (lambda z, w: mean(z, w)[:-1], "shape"),
    "nan": (lambda z, w: mean(z, w) / 0, "finite"),
    "place": (in_place, "arguments"),
    "sign": (lambda z, w: -mean(z, w), "single member"),
}


@pytest.mark.parametrize("broken", sorted(BROKEN))
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_broken_rule_is_rejected(broken: str) -> None:
    rule, what = BROKEN[broken]
    with pytest.raises(ContractError, match=what):
        check_merger(FunctionMergerOptions(rule=rule), 3)
