from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.interfaces.sampler import Objective
from bebertlab.interfaces.values import identity
from bebertlab.report.points import (
    CostedPoint,
    Point,
    by_latency,
    by_operations,
    by_packed_size,
    by_seconds,
    by_size,
    failures,
    finished_stages,
    finite,
    in_group,
    mean_over_seeds,
    mebibytes,
    members,
    not_shown_worse,
    pareto_front,
    points,
    training_seconds,
    with_values,
)
from bebertlab.report.statistics import Interval

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_points_are_trials_that_differ_only_in_their_seed(simulate: Simulate) -> None:
    study, trials = simulate()
    result = points(study, trials)
    assert len(result) == 42
    assert {tuple(point.trials) for point in result} == {(0, 1, 2)}
    first = result[0]
    values = [trial.metrics["validation/score"] for trial in first.trials.values()]
    assert first.score is not None
    assert first.score.mean == pytest.approx(sum(values) / 3)
    assert [point.number for point in result] == list(range(1, 43))
    means = [point.score.mean for point in result if point.score]
    assert means == sorted(means, reverse=True)


def test_the_best_is_the_lowest_where_that_is_the_goal(simulate: Simulate) -> None:
    study, trials = simulate()
    means = [
        point.score.mean
        for point in points(evolve(study, objectives=(Objective(goal="minimize"),)), trials)
        if point.score
    ]
    assert means == sorted(means)


def test_failed_and_unfinished_trials_are_in_no_mean(
    simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]
) -> None:
    study, trials = simulate()
    waiting = evolve(trials[1], state=TrialState.WAITING, metrics={}, stages=())
    broken = evolve(trials[3], metrics={"validation/score": math.nan})
    result = points(study, [fail(trials[0]), waiting, trials[2], broken])
    assert [tuple(point.trials) for point in result] == [(2,), ()]
    assert [point.failed for point in result] == [1, 0]
    assert result[1].score is None


def test_a_seed_named_twice_counts_once(simulate: Simulate) -> None:
    study, trials = simulate()
    again = evolve(trials[0], metrics={"validation/score": 1.0})
    (point,) = points(study, [trials[0], again])
    assert point.score is not None
    assert (point.score.mean, point.score.count) == (1.0, 1)


@pytest.mark.parametrize(
    ("value", "other", "equal"),
    [(1, 1.0, True), (True, 1, False), ([1.0, 2], (1, 2), True), ("1", 1, False), ({"a": 4.0}, {"a": 4}, True)],
)
def test_points_are_compared_by_identity(value: object, other: object, equal: bool) -> None:
    assert (identity(value) == identity(other)) is equal


def test_training_seconds_count_stored_stages_too(simulate: Simulate) -> None:
    _, trials = simulate()
    trial = evolve(trials[0], stages=tuple(evolve(event, stored=True, seconds=2.0) for event in trials[0].stages))
    assert training_seconds(trial) == 2.0 * len(trial.stages)
    assert training_seconds(trial, "members") == 2.0
    assert training_seconds(trial, "nothing") is None
    assert training_seconds(evolve(trial, stages=())) == trial.seconds


def test_a_group_is_matched_as_a_whole_word() -> None:
    assert in_group("members.0", "members")
    assert not in_group("members_too", "members")


def test_sizes_and_members_are_read_by_metric_name() -> None:
    metrics = {"size/matrix_mebibytes": 1.0, "size/total_mebibytes": 2.0, "members/kept": 2, "members/count": 3}
    assert (mebibytes(metrics), members(metrics)) == (2.0, 2.0)
    assert (mebibytes({"b_mebibytes": 3.0}), members({"members/count": 3})) == (3.0, 3.0)
    assert (mebibytes({}), members({})) == (None, None)


def test_values_of_a_range_are_the_sampled_ones(simulate: Simulate) -> None:
    study, trials = simulate()
    drawn = [evolve(trial, parameters={"lr": 0.1 * (7 - trial.number // 3)}) for trial in trials[:9]]
    seen = with_values(evolve(study, axes={"lr": (), "other": (1, 2)}), drawn)
    assert seen.axes == {"lr": (0.5, 0.1 * 6, 0.1 * 7), "other": (1, 2)}


def test_only_trials_that_ran_have_finished_stages(simulate: Simulate) -> None:
    _, trials = simulate()
    assert finished_stages(trials[0]) == trials[0].stages
    assert finished_stages(evolve(trials[0], state=TrialState.RUNNING)) == ()


def test_a_metric_that_is_not_finite_is_none(simulate: Simulate) -> None:
    study, trials = simulate()
    trial = evolve(trials[0], metrics={"a": math.inf, "b": 2})
    assert (finite(trial, "a"), finite(trial, "b"), finite(trial, "c")) == (None, 2.0, None)
    (point,) = points(evolve(study, objectives=(Objective(metric="b"),)), [trial])
    assert mean_over_seeds(point, lambda trial: finite(trial, "a")) is None


def test_each_error_is_named_once_with_the_trials_it_ended(
    simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]
) -> None:
    _, trials = simulate()
    other = evolve(fail(trials[3]), error="another")
    result = failures([fail(trials[0]), trials[1], fail(trials[2]), other, fail(trials[4])])
    assert result == (
        (f"{trials[0].name} (and t002, t004)", "binary: the loss became NaN at step 7"),
        (trials[3].name, "another"),
    )


COST_AND_SCORE = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=15)


def _placed(pairs: list[tuple[int, int]]) -> list[CostedPoint]:
    return [
        CostedPoint(
            point=Point(parameters={}, trials={}, failed=0, score=None, number=number),
            score=Interval(float(score), None, None, 3),
            cost=10.0 * cost,
        )
        for number, (cost, score) in enumerate(pairs)
    ]


@given(COST_AND_SCORE)
def test_the_front_contains_points_that_no_point_dominates(pairs: list[tuple[int, int]]) -> None:
    placed = _placed(pairs)
    kept = pareto_front(placed, maximize=True)
    expected = {
        (trial.cost, trial.score.mean)
        for trial in placed
        if not any(
            other.cost <= trial.cost
            and other.score.mean >= trial.score.mean
            and (other.cost, other.score.mean) != (trial.cost, trial.score.mean)
            for other in placed
        )
    }
    assert {(trial.cost, trial.score.mean) for trial in kept} == expected
    assert [trial.cost for trial in kept] == sorted(trial.cost for trial in kept)


def test_lower_is_better_where_it_is_the_goal() -> None:
    kept = pareto_front(_placed([(1, 5), (2, 4), (3, 6)]), maximize=False)
    assert [trial.score.mean for trial in kept] == [5, 4]


def test_seconds_of_nearly_equal_size_are_equal() -> None:
    first, second = _placed([(1, 5), (1, 7)])
    assert pareto_front([first, evolve(second, cost=10.05)], maximize=True)[0].score.mean == 7
    assert len(pareto_front([first, evolve(second, cost=10.2)], maximize=True)) == 2


def test_points_have_their_costs(simulate: Simulate) -> None:
    study, trials = simulate()
    result = points(study, trials)
    assert {round(trial.cost, 2) for trial in by_size(result)} == {0.11, 0.22, 0.44}
    assert len(by_seconds(result)) == 42
    assert by_operations(result) == ()
    matching_trials = [evolve(trial, metrics={**trial.metrics, "cost/gigaflops": 1.5}) for trial in trials]
    assert {trial.cost for trial in by_operations(points(study, matching_trials))} == {1.5}
    assert by_packed_size(result) == by_latency(result) == ()
    measured = {"size/packed_mebibytes": 0.7, "cost/sentence_milliseconds": 2.5}
    measured_trials = [evolve(trial, metrics={**trial.metrics, **measured}) for trial in trials[:6]]
    some = points(study, [*measured_trials, *trials[6:]])
    assert [trial.cost for trial in by_packed_size(some)] == pytest.approx([0.7, 0.7])
    assert [trial.cost for trial in by_latency(some)] == [2.5, 2.5]
    bare = [evolve(trial, metrics={"validation/score": 1.0}) for trial in trials]
    assert by_size(points(study, bare)) == ()


AXES = {
    "ternary.scheme.activation_bits": (8,),
    "members.distillation": ("none", "prediction", "two-stage"),
    "members.ensemble": ("bagging", "boosting"),
    "members.size": (1, 2),
}


def test_points_far_below_the_best_are_not_tied(simulate: Simulate) -> None:
    study, trials = simulate()
    result = points(study, trials)
    tied = not_shown_worse(study, result)
    assert 1 not in tied
    assert 2 in tied
    assert 42 not in tied


def test_equal_points_are_mostly_tied(simulate: Simulate) -> None:
    never = 0
    for draw in range(20):
        study, trials = simulate(effects={}, axes=AXES, draw=draw)
        never += 12 - 1 - len(not_shown_worse(study, points(study, trials)))
    # the best of twelve is picked by its score: a few are called worse, not many
    assert never <= 20


def test_with_too_few_seeds_no_points_are_tied(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0, 1))
    assert not_shown_worse(study, points(study, trials)) == frozenset()
    assert not_shown_worse(study, ()) == frozenset()


def test_a_missing_seed_does_not_prevent_ties(simulate: Simulate) -> None:
    study, trials = simulate()
    result = points(study, trials)
    holes = [trial for trial in trials if trial not in (result[1].trials[0], result[41].trials[1])]
    tied = not_shown_worse(study, points(study, holes))
    assert 42 not in tied
    assert tied


def test_scores_without_variance_tie_no_points(simulate: Simulate) -> None:
    study, trials = simulate()
    flat = [evolve(trial, metrics={"validation/score": 0.1}) for trial in trials]
    assert not_shown_worse(study, points(study, flat)) == frozenset()
