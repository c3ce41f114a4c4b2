from __future__ import annotations

import torch

from bebertlab.bench.allocation import Allocation, allocation

SIZE = 4 * 1000


def test_tensors_are_counted_whether_they_are_kept_or_not() -> None:
    kept = []

    def work() -> None:
        for _ in range(3):
            torch.ones(1000)
        kept.append((torch.ones(1000), torch.ones(1000)))

    assert allocation(work, smallest_bytes=SIZE) == Allocation(total_bytes=5 * SIZE, peak_bytes=2 * SIZE)


def test_small_tensors_do_not_count() -> None:
    assert allocation(lambda: torch.ones(999), smallest_bytes=SIZE).total_bytes == 0


def test_the_peak_is_what_is_there_at_once() -> None:
    assert Allocation.of([5, -5, 5, 3]) == Allocation(total_bytes=13, peak_bytes=8)
