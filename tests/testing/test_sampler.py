from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, ClassVar

import pytest
from attrs import frozen

from bebertlab.api import (
    PointListOptions,
    SamplerOptions,
    SearchDimension,
    SearchPoint,
    SearchSampler,
    SearchSpace,
    SearchTrial,
)
from bebertlab.testing import ContractError, check_sampler

CALLS = [0]


def value(dimension: SearchDimension, random: Random) -> object:
    if dimension.choice is not None:
        return random.choice(dimension.choice)
    if dimension.integer is not None:
        return random.randint(*dimension.integer)
    return random.uniform(*dimension.range)


class Sampler(SearchSampler):
    def __init__(self, options: Mine, space: SearchSpace) -> None:
        self.options = options
        self.space = space
        self.calls = 0

    def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        self.calls += 1
        fault = self.options.fault
        random = Random(self.options.random_seed(index, 0 if fault == "attempt" else attempt))
        if fault == "state":
            random.seed(self.calls)
        point: dict[str, Any] = {}
        for path, axis in self.space.dimensions.items():
            if axis.exists_at(point) or fault == "condition":
                point[path] = value(axis, random)
        if fault == "objectives" and len(self.space.objectives) > 1:
            return {}
        if fault == "bounds":
            point["share"] = 2.5
        if fault == "type":
            point["bits"] = float(point["bits"])
        if fault == "order":
            point = dict(reversed(point.items()))
        return point


@frozen(kw_only=True)
class Mine(SamplerOptions):
    kind = "mine"
    multi_objective: ClassVar[bool] = True
    fault: str = ""

    def build(self, space: SearchSpace) -> SearchSampler:
        return Sampler(self, space)


@frozen(kw_only=True)
class Listed(PointListOptions):
    kind = "listed"
    change: Callable[[list[Any]], list[Any]] = list

    def points(self, space: SearchSpace) -> Iterable[SearchPoint]:
        (first, *others) = space.dimensions.items()
        return self.change(
            [
                {first[0]: item, **{path: axis.choice[0] for path, axis in others if axis.choice and not axis.when}}
                for item in first[1].choice or ()
            ]
        )


def test_samplers_that_keep_the_contract_pass() -> None:
    check_sampler(Mine(trials=5))
    check_sampler(Listed())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("bounds", "sampler 'mine': proposes share=2.5, which is not a value of"),
        ("type", "proposes bits=.*, which is not a value of"),
        ("order", "expected part, size, (depth, )?rate"),
        ("condition", "proposes a point with part, size, depth, .*; expected part, size, rate"),
        ("attempt", "proposes an excluded point again at every attempt"),
        ("state", "proposes another point number [0-9]+ after a restart"),
        ("objectives", "proposes a point with ; expected part"),
    ],
)
def test_a_sampler_that_breaks_the_contract_is_refused(fault: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_sampler(Mine(trials=5, fault=fault))


def one_trial_less(points: list[Any]) -> list[Any]:
    CALLS[0] += 1
    return points[: 2 + CALLS[0] % 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda points: [], "lists no point"),
        (lambda points: points * 2, "lists a point twice"),
        (lambda points: [{"part": "x"}], "expected part, size"),
        (one_trial_less, "lists other points the second time"),
    ],
)
def test_a_list_that_breaks_the_contract_is_refused(change: Callable[[list[Any]], list[Any]], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_sampler(Listed(change=change))
