from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.study.sampling import distributions, draw, parameters
from bebertlab.study.study import SearchDimension, SearchSampler, Study

AXES = {
    "a.kind": SearchDimension(choice=("x", {"kind": "y", "n": 1}, True, 1, None)),
    "b": SearchDimension(uniform=(0.0, 2.0)),
    "c": SearchDimension(loguniform=(1e-4, 1e-2)),
    "d": SearchDimension(integer=(1, 4)),
}


def study(kind: str = "random", **changes: Any) -> Study:  # noqa: ANN401 - fields of a study
    sampler = SearchSampler(kind=kind, trials=5)  # type: ignore[arg-type]
    fields: dict[str, Any] = {"name": "s", "recipe": {}, "search": AXES, "sampler": sampler}
    return Study(**fields | changes)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_a_drawn_point_is_one_of_the_space_and_known_to_optuna() -> None:
    asked = optuna.create_study()
    for index in range(20):
        drawn = draw(study(), asked, index, ())
        point = drawn.point
        assert list(point) == list(AXES)
        assert any(point["a.kind"] is value or point["a.kind"] == value for value in AXES["a.kind"].choice or ())
        assert 0 <= point["b"] <= 2
        assert 1e-4 <= point["c"] <= 1e-2
        assert isinstance(point["d"], int)
        assert parameters(study(), point) == asked.trials[drawn.attempt].params


@given(st.sampled_from(("x", {"kind": "y", "n": 1}, True, 1, None)))
def test_choices_keep_their_type(value: object) -> None:
    point = {"a.kind": value, "b": 0.5, "c": 1e-3, "d": 2}
    label = parameters(study(), point)["a.kind"]
    assert isinstance(label, str)
    known = distributions(study())["a.kind"]
    assert isinstance(known, optuna.distributions.CategoricalDistribution)
    assert list(known.choices).index(label) == [str(c) for c in ("x", {"kind": "y", "n": 1}, True, 1, None)].index(
        str(value)
    )


def test_choices_that_look_the_same_are_told_apart() -> None:
    search = {"a": SearchDimension(choice=("1", 1))}
    labels = [parameters(study(search=search), {"a": value})["a"] for value in ("1", 1)]
    assert labels == ['"1"', "1"]


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_the_same_index_draws_the_same_and_others_draw_others(kind: str) -> None:
    points = []
    for index in (3, 3, 4):
        drawn = draw(study(kind), optuna.create_study(), index, ())
        points.append(drawn.point)
    assert points[0] == points[1] != points[2]


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_every_point_is_drawn_once_and_no_other(kind: str) -> None:
    small = study(kind, search={"d": SearchDimension(integer=(1, 80))}, exclude=({"d": list(range(9, 81))},))
    asked = optuna.create_study(direction="maximize")
    before: list[Any] = []
    for index in range(8):  # the last ones are one of 80: hardly a proposal finds them
        drawn = draw(small, asked, index, before)
        assert parameters(small, drawn.point) == asked.trials[drawn.attempt].params
        asked.tell(drawn.attempt, drawn.point["d"])
        before.append(drawn.point)
    assert sorted(point["d"] for point in before) == list(range(1, 9))
    with pytest.raises(UserError, match="no further point"):
        draw(small, asked, 8, before)
    again = optuna.create_study(direction="maximize")
    assert draw(small, again, 7, before[:7]).point not in before[:7]


def points(space: Study, score: Callable[[float], float], count: int, seeds: int = 1) -> list[float]:
    """What is drawn where every point has a trial a seed, and each scores the same."""
    asked = optuna.create_study(direction="maximize")
    values: list[float] = []
    for index in range(count):
        drawn = draw(space, asked, index, ())
        values.append(drawn.point["b"])
        asked.tell(drawn.attempt, score(values[-1]))
        for _ in range(seeds - 1):
            asked.add_trial(evolved(asked.trials[drawn.attempt]))
    return values


def evolved(trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=trial.value)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("startup", [None, 1, 6])
def test_tpe_goes_by_results_after_its_startup_points(startup: int | None, seeds: int) -> None:
    sampler = SearchSampler(kind="tpe", trials=14, **({} if startup is None else {"startup": startup}))
    space = study(search={"b": SearchDimension(uniform=(0.0, 1.0))}, sampler=sampler, seeds=tuple(range(seeds)))
    up = points(space, lambda value: value, 14, seeds)
    down = points(space, lambda value: -value, 14, seeds)
    first = startup or 10
    assert up[:first] == down[:first]
    assert sum(up[first:]) > sum(down[first:])


def test_tpe_learns_and_random_does_not_care() -> None:
    seen = {}
    for kind in ("random", "tpe"):
        asked = optuna.create_study(direction="maximize")
        space = study(kind, search={"b": SearchDimension(uniform=(0.0, 1.0))})
        values: list[float] = []
        for index in range(40):
            drawn = draw(space, asked, index, ())
            values.append(drawn.point["b"])
            asked.tell(drawn.attempt, values[-1])
        seen[kind] = sum(values[20:]) / 20
    assert seen["tpe"] > 0.8 > seen["random"]
