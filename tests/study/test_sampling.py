from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.interfaces.sampler import (
    PointListOptions,
    SamplerOptions,
    SearchDimension,
    SearchPoint,
    SearchSampler,
    SearchSpace,
    SearchTrial,
)
from bebertlab.study.sampling import PointSource, distributions, parameters
from bebertlab.study.space import listed_points
from bebertlab.study.study import Study
from bebertlab_samplers.optuna_samplers import RandomSampler, TpeSampler

AXES = {
    "a.kind": SearchDimension(choice=("x", {"kind": "y", "n": 1}, True, 1, None)),
    "b": SearchDimension(uniform=(0.0, 2.0)),
    "c": SearchDimension(loguniform=(1e-4, 1e-2)),
    "d": SearchDimension(integer=(1, 4)),
}


@frozen(kw_only=True)
class Fixed(SamplerOptions):
    """Proposes the same point every time."""

    kind = "fixed"
    point: dict[str, Any]
    error: Exception | None = None  #: raised instead

    def build(self, space: SearchSpace) -> SearchSampler:
        class Sampler(SearchSampler):
            def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
                if error is not None:
                    raise error
                return point

        point, error = self.point, self.error
        return Sampler()


def study(sampler: SamplerOptions, search: Any = None, exclude: Any = ()) -> Study:  # noqa: ANN401 - fields of a study
    return Study(name="s", recipe={}, search=search or AXES, sampler=sampler, exclude=exclude)


@pytest.mark.parametrize("sampler", [RandomSampler(trials=8), TpeSampler(trials=8)])
def test_every_free_point_is_sampled_once_and_no_other(sampler: SamplerOptions) -> None:
    search = {"d": SearchDimension(integer=(1, 80))}
    source = PointSource(study(sampler, search, ({"d": list(range(9, 81))},)), sampler)
    trials: list[SearchTrial] = []
    for index in range(8):  # the last ones are one of 80: hardly a proposal finds them
        point = source.draw(index, trials)
        trials.append(SearchTrial(point=point, values=(float(point["d"]),)))
    assert sorted(trial.point["d"] for trial in trials) == list(range(1, 9))
    with pytest.raises(UserError, match="no further point"):
        source.draw(8, trials)


def test_a_sampler_that_repeats_points_gets_free_points() -> None:
    sampler = Fixed(trials=3, point={"d": 2})
    source = PointSource(study(sampler, {"d": SearchDimension(integer=(1, 3))}), sampler)
    trials: list[SearchTrial] = []
    for index in range(3):
        trials.append(SearchTrial(point=source.draw(index, trials)))
    assert trials[0].point == {"d": 2}
    assert sorted(trial.point["d"] for trial in trials) == [1, 2, 3]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"d": 4}, "d=4$"),
        ({}, "it has no d$"),
        ({"d": 1, "e": 2}, "the paths d, e$"),
        ({"d": np.int64(2)}, r"d=np\.int64\(2\); expected a number, text or other value of plain Python$"),
    ],
)
def test_a_point_outside_the_space_names_the_sampler(point: dict[str, Any], message: str) -> None:
    sampler = Fixed(trials=3, point=point)
    source = PointSource(study(sampler, {"d": SearchDimension(integer=(1, 3))}), sampler)
    with pytest.raises(UserError, match=rf"sampler 'fixed' gave a point outside the search space: {message}"):
        source.draw(0, ())


def test_a_sampler_that_raises_is_named() -> None:
    sampler = Fixed(trials=3, point={"d": 1}, error=RuntimeError("no idea"))
    source = PointSource(study(sampler, {"d": SearchDimension(integer=(1, 3))}), sampler)
    with pytest.raises(UserError, match=r"^sampler 'fixed': ask\(\) raises RuntimeError: no idea$"):
        source.draw(0, ())


@given(st.sampled_from(("x", {"kind": "y", "n": 1}, True, 1, None)))
def test_choices_keep_their_type_in_the_journal(value: object) -> None:
    space = study(RandomSampler(trials=1))
    point = {"a.kind": value, "b": 0.5, "c": 1e-3, "d": 2}
    label = parameters(space, point)["a.kind"]
    assert isinstance(label, str)
    known = distributions(space, point)["a.kind"]
    assert isinstance(known, optuna.distributions.CategoricalDistribution)
    assert list(known.choices).index(label) == AXES["a.kind"].index(value)


def test_choices_of_equal_appearance_have_different_labels() -> None:
    space = study(RandomSampler(trials=1), {"a": SearchDimension(choice=("1", 1))})
    assert [parameters(space, {"a": value})["a"] for value in ("1", 1)] == ['"1"', "1"]


@frozen(kw_only=True)
class Listed(PointListOptions):
    """Lists points, or fails."""

    kind = "listed"
    listing: Any

    def points(self, space: SearchSpace) -> Iterable[SearchPoint]:
        if self.listing is None:
            raise ValueError("broken")
        return (point for point in self.listing)


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        ([{"d": 1}, {"d": 2}, {"d": 1}], "sampler 'listed' lists a point twice: d=1"),
        ([1], "sampler 'listed' gave 1; expected a mapping of searched paths to values"),
        (None, r"sampler 'listed': points\(\) raises ValueError: broken"),
        (3, r"sampler 'listed': points\(\) raises TypeError: 'int' object is not iterable"),
    ],
)
def test_a_sampler_that_lists_invalid_points_is_named(listing: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        listed_points(study(Listed(listing=listing), {"d": SearchDimension(integer=(1, 3))}))  # type: ignore[arg-type]


@frozen(kw_only=True)
class Failing(SamplerOptions):
    """Fails when it is built, or when it draws."""

    kind = "failing"
    early: bool

    def build(self, space: SearchSpace) -> SearchSampler:
        class Sampler(SearchSampler):
            def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
                raise ZeroDivisionError("no draw")

        if self.early:
            raise KeyError("no sampler")
        return Sampler()


@pytest.mark.parametrize("early", [False, True])
def test_a_sampler_that_fails_is_named(early: bool) -> None:
    sampler = Failing(trials=3, early=early)
    with pytest.raises(
        UserError, match=r"sampler 'failing': \w+\(\) raises (KeyError: 'no sampler'|ZeroDivisionError: no draw)"
    ):
        PointSource(study(sampler, {"d": SearchDimension(integer=(1, 3))}), sampler).draw(0, ())
