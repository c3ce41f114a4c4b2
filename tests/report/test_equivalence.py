from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.equivalence import ties
from bebertlab.report.points import points

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

AXES = {
    "ternary.scheme.activation_bits": (8,),
    "members.distillation": ("none", "prediction", "two-stage"),
    "members.ensemble": ("bagging", "boosting"),
    "members.size": (1, 2),
}


def test_points_far_below_the_best_are_not_tied(simulate: Simulate) -> None:
    study, trials = simulate()
    found = points(study, trials)
    tied = ties(study, found)
    assert 1 not in tied
    assert 2 in tied
    assert 42 not in tied


def test_equal_points_are_mostly_tied(simulate: Simulate) -> None:
    never = 0
    for draw in range(20):
        study, trials = simulate(effects={}, axes=AXES, draw=draw)
        never += 12 - 1 - len(ties(study, points(study, trials)))
    # the best of twelve is picked by its score: a few are called worse, not many
    assert never <= 20


def test_too_few_seeds_tie_nothing(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0, 1))
    assert ties(study, points(study, trials)) == frozenset()
    assert ties(study, ()) == frozenset()


def test_a_missing_seed_is_no_obstacle(simulate: Simulate) -> None:
    study, trials = simulate()
    found = points(study, trials)
    holes = [one for one in trials if one not in (found[1].trials[0], found[41].trials[1])]
    tied = ties(study, points(study, holes))
    assert 42 not in tied
    assert tied


def test_scores_without_any_spread_tie_nothing(simulate: Simulate) -> None:
    study, trials = simulate()
    flat = [evolve(one, metrics={"validation/score": 0.1}) for one in trials]
    assert ties(study, points(study, flat)) == frozenset()
