from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from bebertlab.bench.measurement import Timings

FixedTimings = Callable[[Mapping[str, float]], Callable[..., Timings]]


@pytest.fixture
def fixed_timings() -> FixedTimings:
    """Makes a replacement of `interleave` that runs every block once and returns the given seconds by block."""

    def make(seconds: Mapping[str, float]) -> Callable[..., Timings]:
        def interleave(blocks: Mapping[str, Callable[[], float]], repeats: int, *, warm_up: int = 1) -> Timings:
            for block in blocks.values():
                assert block() > 0.0
            return Timings(seconds={name: (seconds[name],) * repeats for name in blocks})

        return interleave

    return make
