from __future__ import annotations

import math

import pytest

from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.interfaces.sampler import Constraint, Objective
from bebertlab.ranking import RankedPoint, broken, pareto_front, rank_points

SCORE, SIZE = Objective(metric="score"), Objective(metric="size", goal="minimize")


def trial(number: int, value: object, score: float, size: float = 1.0, seed: int = 0) -> TrialRecord:
    return TrialRecord(
        number=number,
        name=f"t{number}",
        parameters={"a": value},
        seed=seed,
        state=TrialState.COMPLETE,
        metrics={"score": score, "size": size},
    )


def test_points_are_ranked_by_the_mean_over_seeds() -> None:
    trials = [trial(0, "x", 1.0), trial(1, "x", 4.0, seed=1), trial(2, "y", 3.0), trial(3, "z", 2.5)]
    ranked = rank_points([SCORE], trials)
    assert [(point.parameters["a"], point.values) for point in ranked] == [("y", (3.0,)), ("x", (2.5,)), ("z", (2.5,))]
    assert [point.parameters["a"] for point in rank_points([SIZE, SCORE], trials)] == ["x", "y", "z"]
    lowest = Objective(metric="score", goal="minimize")
    assert [point.parameters["a"] for point in rank_points([lowest], trials)] == ["x", "z", "y"]


def test_equal_points_are_merged_and_the_last_trial_of_a_seed_counts() -> None:
    (number, true) = rank_points([SCORE], [trial(0, 1, 1.0), trial(1, 1.0, 5.0), trial(2, True, 2.0)])
    assert (number.values, [item.number for item in number.trials]) == ((5.0,), [1])
    assert true.values == (2.0,)


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.RUNNING])
def test_only_complete_trials_with_every_objective_count(state: TrialState) -> None:
    from attrs import evolve

    incomplete = evolve(trial(0, "x", 1.0), state=state)
    without = evolve(trial(1, "y", 1.0), metrics={"score": 1.0})
    assert rank_points([SCORE, SIZE], [incomplete, without, trial(2, "z", math.nan)]) == ()


def test_the_front_contains_points_that_no_point_dominates() -> None:
    trials = [trial(0, "a", 3.0, 3.0), trial(1, "b", 2.0, 1.0), trial(2, "c", 2.0, 2.0), trial(3, "d", 3.0, 4.0)]
    points = rank_points([SCORE, SIZE], trials)
    assert names(pareto_front([SCORE, SIZE], points)) == ["a", "b"]
    both = [SCORE, Objective(metric="size")]
    assert names(pareto_front(both, rank_points(both, trials))) == ["d"]
    assert names(pareto_front([SCORE], rank_points([SCORE], trials))) == ["a", "d"]


def names(points: tuple[RankedPoint, ...]) -> list[str]:
    return [point.parameters["a"] for point in points]


def test_points_that_break_a_constraint_by_their_mean_are_left_out() -> None:
    trials = [trial(0, "x", 3.0, 9.0), trial(1, "x", 3.0, 12.0, seed=1), trial(2, "y", 2.0, 10.0)]
    limits = [Constraint(metric="size", at_most=10), Constraint(metric="score", at_least=1)]
    assert [point.parameters["a"] for point in rank_points([SCORE], trials, limits)] == ["y"]
    assert broken(limits, trials[:2]) == (limits[0],)
    assert [point.parameters["a"] for point in rank_points([SCORE], trials, limits[1:])] == ["x", "y"]
