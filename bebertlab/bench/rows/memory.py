"""Peak memory of training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bebertlab.bench.clock import Ratio
from bebertlab.bench.lengths import MAXIMUM_TOKENS
from bebertlab.bench.memory import YARDSTICK, training_peak_bytes
from bebertlab.bench.process import in_processes
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.scheme import SCHEMES, by_scheme
from bebertlab.bench.setting import Setting
from bebertlab.processors import processors

_MEBIBYTE = 2**20
_SMALLEST = 64 * _MEBIBYTE  # less than that is lost in what a process takes anyway

GOALS: tuple[Goal, ...] = tuple(
    Goal(
        name=f"memory.{one.name}",
        what=f"peak memory of training, {one.what} / full precision (Hugging Face), {MAXIMUM_TOKENS} tokens",
        better="lower",
        goal=1.4,
        quick=False,
    )
    for one in SCHEMES
)


def memory(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Every training in a process of its own, beyond what that process took before it."""
    there, missing = by_scheme(wanted, setting)
    yield from missing
    if not there:
        return
    names = [YARDSTICK, *(scheme.name for _, scheme in there)]
    under, *peaks = in_processes(training_peak_bytes, [(name, setting) for name in names], at_once=processors().usable)
    for (target, _), over in zip(there, peaks, strict=True):
        if min(over, under) < _SMALLEST:
            yield Missing(target=target, reason=f"a training of shape '{setting.shape}' is too small to tell")
        else:
            note = f"{over / _MEBIBYTE:.0f} MiB / {under / _MEBIBYTE:.0f} MiB"
            yield Row(target=target, ratio=Ratio.of([over / under]), note=note)
