"""What a piece of work allocates, as torch's profiler sees it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch.profiler import ProfilerActivity, profile


@frozen(kw_only=True)
class Allocation:
    """Tensors of at least a certain size."""

    total_bytes: int  #: of all of them, whether they were freed again or not
    peak_bytes: int  #: most of them that were there at once

    @classmethod
    def of(cls, changes: Iterable[int]) -> Allocation:
        """From the bytes that were taken (above 0) and given back (below), in order.

        >>> Allocation.of([4, 4, -4, 4, -8])
        Allocation(total_bytes=12, peak_bytes=8)
        """
        total = now = peak = 0
        for change in changes:
            total += max(change, 0)
            now += change
            peak = max(peak, now)
        return cls(total_bytes=total, peak_bytes=peak)


def allocation(work: Callable[[], object], smallest_bytes: int) -> Allocation:
    """What `work` allocates in pieces of at least so many bytes."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities, profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        events: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    changes = (event for event in events if event.get("name") == "[memory]")
    ordered = sorted(changes, key=lambda event: float(event["ts"]))
    sizes = (int(event["args"]["Bytes"]) for event in ordered)
    return Allocation.of(size for size in sizes if abs(size) >= smallest_bytes)
