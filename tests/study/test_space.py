from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from attrs import evolve, frozen

from bebertlab.errors import UserError
from bebertlab.interfaces.sampler import PointListOptions, SearchDimension, SearchPoint, SearchSpace
from bebertlab.study.space import (
    count_trials,
    excluded,
    listed_points,
    planned_points,
    planned_trials,
    point_trials,
    remarks,
)
from bebertlab.study.study import Study
from bebertlab_samplers.grid import GridSampler
from bebertlab_samplers.optuna_samplers import RandomSampler, TpeSampler


def study(**axes: SearchDimension) -> Study:
    return Study(
        name="s",
        recipe={},
        search={name.replace("_", "."): axis for name, axis in axes.items()},
        seeds=(5, 7),
        sampler=GridSampler(),
        exclude=({"members.ensemble": "single", "members.size": [2, 4]},),
    )


def test_all_combinations_but_the_excluded_ones() -> None:
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
    """The points that a test wants."""

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
def test_a_sampler_that_lists_points_in_a_wrong_way_is_named(give: Callable[[], Any], message: str) -> None:
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


def test_values_are_compared_as_yaml_writes_them() -> None:
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
def test_a_sampler_ends_where_the_space_is_used_up(kind: str) -> None:
    small = drawn(SearchDimension(integer=(1, 4)), kind=kind, trials=12)
    assert (planned_points(small), planned_trials(small)) == (4, 8)
    assert count_trials(small) == "8 trials (all 4 points of the space, 2 seeds)"
    assert remarks(small) == ("the search space has 4 points, and trials is 12: the space is used up after 4 of 12",)
    assert planned_trials(drawn(kind=kind, trials=12)) == 24
    assert count_trials(drawn(kind=kind, trials=12)) == f"24 trials (12 points drawn by the sampler {kind}, 2 seeds)"


@pytest.mark.parametrize(
    ("options", "said"),
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
def test_tpe_without_results_to_go_by_is_random_search(options: dict[str, int], said: str) -> None:
    (remark,) = remarks(drawn(REAL, kind="tpe", **options))
    assert re.match(f"sampler tpe draws its {said}", remark)


def test_nothing_is_said_of_other_samplers_or_where_results_count_or_every_point_is_drawn() -> None:
    assert not remarks(drawn(trials=11))
    assert not remarks(drawn(trials=5, startup=4))
    assert not remarks(drawn(kind="random", trials=8))
    assert not remarks(drawn(SearchDimension(integer=(1, 8)), trials=8))
    assert not remarks(study(a=SearchDimension(choice=(1, 2))))
