"""Timings that are told instead of measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from bebertlab.bench.clock import Timings

Told = Callable[[Mapping[str, float]], Callable[..., Timings]]


@pytest.fixture
def told() -> Told:
    """Stands for `alternate`: runs every block once, and gives the seconds that were told for each."""

    def told(seconds: Mapping[str, float]) -> Callable[..., Timings]:
        def alternate(blocks: Mapping[str, Callable[[], float]], turns: int, warm_up: int = 1) -> Timings:
            for block in blocks.values():
                assert block() > 0.0
            return Timings(seconds={name: (seconds[name],) * turns for name in blocks})

        return alternate

    return told
