from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.interfaces.sampler import Constraint, PointListOptions, SearchDimension, SearchPoint, SearchSpace
from bebertlab.interfaces.values import identity
from bebertlab.study.space import (
    boxes,
    check_point,
    count_trials,
    excluded,
    existing,
    free_point,
    listed_points,
    planned_points,
    planned_trials,
    point_trials,
    remarks,
    space_size,
)
from bebertlab.study.study import Study
from bebertlab_samplers.grid import GridSampler
from bebertlab_samplers.optuna_samplers import RandomSampler, TpeSampler

AXES = {"a": (1, 2, True), "b": ("x", None, {"kind": "y"}), "c": (0, 1, 2, 3, 4)}


def study(**axes: SearchDimension) -> Study:
    return Study(
        name="s",
        recipe={},
        search={name.replace("_", "."): axis for name, axis in axes.items()},
        seeds=(5, 7),
        sampler=GridSampler(),
        exclude=({"members.ensemble": "single", "members.size": [2, 4]},),
    )


def test_the_grid_is_all_combinations_except_the_excluded_ones() -> None:
    points = listed_points(
        study(
            members_ensemble=SearchDimension(choice=("single", "bagging")),
            members_size=SearchDimension(choice=(1, 2, 4)),
        )
    )
    assert [tuple(point.values()) for point in points] == [
        ("single", 1),
        ("bagging", 1),
        ("bagging", 2),
        ("bagging", 4),
    ]


@frozen(kw_only=True)
class Listed(PointListOptions):
    """The points that a test gives."""

    kind = "listed"
    give: Callable[[], Any]

    def points(self, space: SearchSpace) -> Iterable[SearchPoint]:
        return self.give()  # type: ignore[no-any-return] # also what is no point


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (list, "sampler 'listed' lists no point"),
        (lambda: [{"a": 1}, {"a": 2}, {"a": 1}], "sampler 'listed' lists a point twice: a=1"),
        (lambda: [{"a": 3}], "sampler 'listed' gave a point outside the search space: a=3"),
        (lambda: [None], "sampler 'listed' gave None; expected a mapping of searched paths to values"),
        (lambda: 1 / 0, r"sampler 'listed': points\(\) raises ZeroDivisionError: division by zero"),
    ],
)
def test_a_sampler_that_lists_points_of_the_wrong_type_is_named(give: Callable[[], Any], message: str) -> None:
    listed = evolve(study(a=SearchDimension(choice=(1, 2))), sampler=Listed(give=give), exclude=())
    with pytest.raises(UserError, match=f"^{message}$"):
        listed_points(listed)


def test_a_study_without_axes_is_one_point() -> None:
    alone = Study(name="s", recipe={}, sampler=GridSampler())
    assert listed_points(alone) == ({},)
    assert [trial.name for trial in point_trials(alone, 0, {})] == ["t000 seed=0"]


def test_every_point_has_a_trial_for_every_seed() -> None:
    trials = point_trials(study(), 3, {"a.b": {"kind": "twn", "threshold": 0.7}})
    assert [(trial.number, trial.seed) for trial in trials] == [(6, 5), (7, 7)]
    assert trials[1].name == "t007 a.b=twn(threshold=0.7) seed=7"


def test_values_are_compared_as_written_in_yaml() -> None:
    assert excluded({"a": True}, [{"a": True}])
    assert not excluded({"a": True}, [{"a": 1}])
    assert excluded({"a": {"kind": "x", "n": 1}}, [{"a": [{"n": 1, "kind": "x"}]}])


REAL = SearchDimension(uniform=(0.0, 1.0))


SAMPLERS = {"random": RandomSampler, "tpe": TpeSampler}


def drawn(axis: SearchDimension = REAL, *, kind: str = "tpe", **options: Any) -> Study:  # noqa: ANN401 - those of a sampler
    return Study(
        name="s",
        recipe={},
        search={"a": axis},
        seeds=(5, 7),
        sampler=SAMPLERS[kind](**options),
    )


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_a_sampler_ends_where_the_space_is_exhausted(kind: str) -> None:
    small = drawn(SearchDimension(integer=(1, 4)), kind=kind, trials=12)
    assert (planned_points(small), planned_trials(small)) == (4, 8)
    assert count_trials(small) == "8 trials (all 4 points of the space, 2 seeds)"
    assert remarks(small) == ("the search space has 4 points, and trials is 12: the space is used up after 4 of 12",)
    assert planned_trials(drawn(kind=kind, trials=12)) == 24
    assert count_trials(drawn(kind=kind, trials=12)) == f"24 trials (12 points drawn by the sampler {kind}, 2 seeds)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"trials": 8},
            "first 10 points at random, and trials is 8: this is a random search; set sampler.startup below trials$",
        ),
        ({"trials": 10}, "first 10 points .* trials is 10"),
        ({"trials": 4}, "first 10 points .* set sampler.startup and sampler.batch below trials$"),
        ({"trials": 4, "startup": 2}, "first 4 points .* set sampler.batch below trials$"),
        ({"trials": 1, "startup": 1, "batch": 1}, "first 1 point at random.*; raise trials$"),
    ],
)
def test_tpe_warns_that_without_results_it_is_random_search(options: dict[str, int], message: str) -> None:
    (remark,) = remarks(drawn(REAL, kind="tpe", **options))
    assert re.match(f"sampler tpe draws its {message}", remark)


def test_no_warning_for_other_samplers_with_results_or_a_fully_sampled_space() -> None:
    assert not remarks(drawn(trials=11))
    assert not remarks(drawn(trials=5, startup=4))
    assert not remarks(drawn(kind="random", trials=8))
    assert not remarks(drawn(SearchDimension(integer=(1, 8)), trials=8))
    assert not remarks(study(a=SearchDimension(choice=(1, 2))))


def line(values: tuple[object, ...]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), max_size=3) | st.sampled_from(values)


items = st.lists(st.fixed_dictionaries({}, optional={path: line(values) for path, values in AXES.items()}), max_size=4)


@given(items)
@settings(max_examples=60, deadline=None)
def test_boxes_contain_every_included_point_once(exclude: list[dict[str, Any]]) -> None:
    search = {
        "a": SearchDimension(choice=AXES["a"]),
        "b": SearchDimension(choice=AXES["b"]),
        "c": SearchDimension(integer=(0, 4)),
    }
    points = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]
    kept = [point for point in points if not excluded(point, exclude)]
    space = (search, exclude)
    actual = [box.discrete(rank) for box in boxes(*space) for rank in range(box.size)]
    assert sorted(map(identity, actual)) == sorted(map(identity, kept))
    assert space_size(*space) == len(kept)
    assert all(sum(box.holds(point) for box in boxes(*space)) == (point in kept) for point in kept)


@given(items, st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_free_points_are_all_remaining_points_and_finally_none(exclude: list[dict[str, Any]], seed: int) -> None:
    search = {
        "a": SearchDimension(choice=AXES["a"]),
        "b": SearchDimension(choice=AXES["b"]),
        "c": SearchDimension(integer=(0, 4)),
    }
    space = (search, exclude)
    drawn: list[dict[str, Any]] = []
    for _ in range(space_size(*space) or 0):
        drawn.append(dict(free_point(*space, drawn, Random(seed))))
    assert len(set(map(identity, drawn))) == len(drawn)
    assert not any(excluded(point, exclude) for point in drawn)
    with pytest.raises(UserError, match="no further point"):
        free_point(*space, drawn, Random(seed))


def test_a_large_space_is_counted_without_listing_it() -> None:
    large = {f"n{index}": SearchDimension(integer=(1, 10**9)) for index in range(3)}
    space = (large, [{"n0": [1, 5], "n1": 7}])
    assert space_size(*space) == 10**27 - 2 * 10**9
    point = free_point(*space, [], Random(0))
    assert all(1 <= value <= 10**9 for value in point.values())


def test_the_last_point_of_a_large_space_is_returned() -> None:
    space: tuple[Any, Any] = ({"a": SearchDimension(integer=(1, 1000))}, ())
    before = [{"a": value} for value in range(1, 1001) if value != 123]
    assert free_point(*space, before, Random(0)) == {"a": 123}


def test_a_continuous_range_is_inexhaustible_but_other_axes_may_be_excluded() -> None:
    search = {
        "kind": SearchDimension(choice=tuple(range(1000))),
        "b": SearchDimension(uniform=(0, 1)),
        "c": SearchDimension(loguniform=(1e-4, 1e-2)),
    }
    space = (search, [{"kind": [kind for kind in range(1000) if kind != 7]}])
    assert space_size(*space) is None
    points = [free_point(*space, [], Random(seed)) for seed in range(5)]
    assert {point["kind"] for point in points} == {7}
    assert len({point["b"] for point in points}) == 5
    assert all(0 <= point["b"] <= 1 and 1e-4 <= point["c"] <= 1e-2 for point in points)
    assert space_size(search, [{"kind": list(range(1000))}]) == 0
    assert space_size(search, [{"kind": list(range(1000)), "b": 0.5}]) is None


CONDITIONAL = {
    "kind": SearchDimension(choice=("a", "b", "c")),
    "size": SearchDimension(integer=(1, 4), when={"kind": ["b", "c"]}),
    "rate": SearchDimension(choice=(0.1, 0.2, 0.3), when={"size": 2}),
}


def every(search: dict[str, SearchDimension]) -> list[dict[str, Any]]:
    """All points of a small space by trying every combination."""
    values = [
        [*(axis.choice or ()), *(range(axis.integer[0], axis.integer[1] + 1) if axis.integer else ())]
        for axis in search.values()
    ]
    combined = (dict(zip(search, chosen, strict=True)) for chosen in itertools.product(*values))
    points = ({path: point[path] for path in existing(search, point)} for point in combined)
    return list({identity(point): point for point in points}.values())


@pytest.mark.parametrize("exclude", [(), ({"rate": [0.1, 0.2]},), ({"kind": "b", "size": 2},), ({"size": [1, 3]},)])
def test_conditional_spaces_are_counted_and_drawn_completely(exclude: Any) -> None:  # noqa: ANN401 - items
    points = [point for point in every(CONDITIONAL) if not excluded(point, exclude)]
    assert space_size(CONDITIONAL, exclude) == len(points)
    drawn: list[SearchPoint] = []
    while len(drawn) < len(points):
        drawn.append(free_point(CONDITIONAL, exclude, drawn, Random(len(drawn))))
    assert sorted(map(identity, drawn)) == sorted(map(identity, points))
    with pytest.raises(UserError, match="no further point"):
        free_point(CONDITIONAL, exclude, drawn, Random(0))


def test_a_point_has_exactly_the_paths_that_exist() -> None:
    conditional = evolve(study(), search=CONDITIONAL)
    check_point(conditional, {"kind": "b", "size": 2, "rate": 0.1})
    check_point(conditional, {"kind": "a"})
    for wrong in ({"kind": "a", "size": 1}, {"kind": "b"}, {"kind": "b", "size": 2}, {"kind": "b", "size": 9}):
        with pytest.raises(UserError, match="outside the search space"):
            check_point(conditional, wrong)


def test_a_sampler_that_ignores_constraints_is_named() -> None:
    limit = Constraint(metric="size/packed_mebibytes", at_most=10)
    wide = evolve(study(b=SearchDimension(uniform=(0.0, 1.0))), exclude=(), constraints=(limit,))
    (remark,) = remarks(evolve(wide, sampler=RandomSampler(trials=20)))
    assert remark.startswith("sampler random does not use constraints")
    assert remarks(evolve(wide, sampler=TpeSampler(trials=20))) == ()
