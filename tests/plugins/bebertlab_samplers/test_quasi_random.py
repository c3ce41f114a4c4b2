from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bebertlab.api import SearchDimension, SearchPoint, SearchSpace
from bebertlab.testing import check_sampler
from bebertlab_samplers.quasi_random import QuasiRandomSampler, value_at

SPACE = SearchSpace(
    dimensions={"share": SearchDimension(uniform=(0.0, 1.0)), "part": SearchDimension(choice=("a", "b", "c", "d"))}
)


def drawn(options: QuasiRandomSampler, count: int, attempt: int = 0) -> list[SearchPoint]:
    sampler = options.build(SPACE)
    return [sampler.ask(index, attempt, ()) for index in range(count)]


@pytest.mark.parametrize("sequence", ["sobol", "halton"])
def test_it_keeps_the_sampler_contract(sequence: Any) -> None:  # noqa: ANN401 - a literal
    check_sampler(QuasiRandomSampler(trials=12, sequence=sequence))


def test_points_are_even_in_every_dimension() -> None:
    points = drawn(QuasiRandomSampler(trials=16), 16)
    assert Counter(int(point["share"] * 16) for point in points) == dict.fromkeys(range(16), 1)
    assert Counter(point["part"] for point in points) == {"a": 4, "b": 4, "c": 4, "d": 4}


def test_a_longer_study_continues_the_sequence() -> None:
    assert drawn(QuasiRandomSampler(trials=32), 12)[:8] == drawn(QuasiRandomSampler(trials=8), 8)


def test_seeds_and_attempts_scramble_differently() -> None:
    points = [
        drawn(QuasiRandomSampler(trials=8), 8),
        drawn(QuasiRandomSampler(trials=8, seed=1), 8),
        drawn(QuasiRandomSampler(trials=8), 8, attempt=1),
    ]
    assert points[0] != points[1]
    assert points[0] != points[2]


def test_fractions_become_values() -> None:
    assert [value_at(part, SearchDimension(integer=(2, 5))) for part in (0.0, 0.3, 0.999)] == [2, 3, 5]
    assert value_at(0.5, SearchDimension(loguniform=(1e-4, 1e-2))) == pytest.approx(1e-3)
    assert value_at(0.25, SearchDimension(uniform=(-2.0, 2.0))) == -1.0
    assert value_at(0.75, SearchDimension(choice=("a", "b"))) == "b"
