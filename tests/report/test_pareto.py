from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.report.pareto import Placed, by_operations, by_seconds, by_size, front
from bebertlab.report.rows import Point, points
from bebertlab.report.statistics import Interval

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

PLACES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=15)


def _placed(pairs: list[tuple[int, int]]) -> list[Placed]:
    return [
        Placed(
            point=Point(parameters={}, trials={}, failed=0, score=None, number=number),
            score=Interval(float(score), None, None, 3),
            cost=10.0 * cost,
        )
        for number, (cost, score) in enumerate(pairs)
    ]


@given(PLACES)
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    placed = _placed(pairs)
    kept = front(placed, maximize=True)
    wanted = {
        (one.cost, one.score.mean)
        for one in placed
        if not any(
            other.cost <= one.cost
            and other.score.mean >= one.score.mean
            and (other.cost, other.score.mean) != (one.cost, one.score.mean)
            for other in placed
        )
    }
    assert {(one.cost, one.score.mean) for one in kept} == wanted
    assert [one.cost for one in kept] == sorted(one.cost for one in kept)


def test_lower_is_better_where_it_is_the_goal() -> None:
    kept = front(_placed([(1, 5), (2, 4), (3, 6)]), maximize=False)
    assert [one.score.mean for one in kept] == [5, 4]


def test_seconds_that_hardly_differ_are_equal() -> None:
    first, second = _placed([(1, 5), (1, 7)])
    assert front([first, evolve(second, cost=10.05)], maximize=True)[0].score.mean == 7
    assert len(front([first, evolve(second, cost=10.2)], maximize=True)) == 2


def test_points_carry_their_costs(simulate: Simulate) -> None:
    study, trials = simulate()
    found = points(study, trials)
    assert {round(one.cost, 2) for one in by_size(found)} == {0.11, 0.22, 0.44}
    assert len(by_seconds(found)) == 42
    assert by_operations(found) == ()
    counted = [evolve(one, metrics={**one.metrics, "cost/gigaflops": 1.5}) for one in trials]
    assert {one.cost for one in by_operations(points(study, counted))} == {1.5}
    bare = [evolve(one, metrics={"validation/score": 1.0}) for one in trials]
    assert by_size(points(study, bare)) == ()
