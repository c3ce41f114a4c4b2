from __future__ import annotations

import pytest

from bebertlab.api import SearchDimension, SearchPoint, SearchSpace, SearchTrial
from bebertlab_samplers.optuna_samplers import NsgaSampler
from bebertlab_samplers.optuna_study import Observation, observed

CONDITIONAL = SearchSpace(
    dimensions={
        "kind": SearchDimension(choice=("a", {"kind": "b"})),
        "size": SearchDimension(integer=(1, 4), when={"kind": "a"}),
        "rate": SearchDimension(uniform=(0.0, 1.0), when={"size": [3, 4]}),
    }
)


def test_the_trials_of_a_point_are_one_observation() -> None:
    first, second, third = {"b": 0.1}, {"b": 0.2}, {"b": 0.3}
    trials = [
        SearchTrial(point=first, values=(1.0,), excesses=(-1.0,)),
        SearchTrial(point=first, values=(3.0,), excesses=(2.0,)),
        SearchTrial(point=second, values=(5.0,), excesses=(0.0,)),
        SearchTrial(point=second),  # failed
        SearchTrial(point=third, pending=True),
    ]
    assert observed(trials) == [
        Observation(point=first, values=(2.0,), excesses=(0.5,), pending=False),
        Observation(point=second, values=(5.0,), excesses=(0.0,), pending=False),
        Observation(point=third, values=None, excesses=(), pending=True),
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_conditional_points_are_replayed_with_the_values_they_have(fails: bool) -> None:
    options = NsgaSampler(trials=24, population=4, batch=2)
    sampler = options.build(CONDITIONAL)
    trials: list[SearchTrial] = []
    points: list[SearchPoint] = []
    for index in range(options.trials):
        points.append(sampler.ask(index, 0, trials))
        failed = fails and index % 3 == 0
        trials.append(SearchTrial(point=points[-1], values=None if failed else (float(len(points[-1])),)))
    assert {len(point) for point in points} == {1, 2, 3}
    assert options.build(CONDITIONAL).ask(24, 0, trials) == sampler.ask(24, 0, trials)
