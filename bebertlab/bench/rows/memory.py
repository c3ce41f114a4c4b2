"""Memory of training: the peak of whole trainings, and the extra tensors of quantized linear layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bebertlab.accounting.size import MEBIBYTE
from bebertlab.bench.data import MAXIMUM_TOKENS
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.memory import REFERENCE, extra_tensors_by_module, training_peak_bytes
from bebertlab.bench.models import SCHEMES, BenchConfig, match_schemes
from bebertlab.bench.process import in_processes
from bebertlab.config.humanize import format_size
from bebertlab.processors import processors

_SMALLEST_PEAK = 64 * MEBIBYTE  # smaller peaks are dominated by the memory of the process itself

PEAKS: tuple[RowSpec, ...] = tuple(
    RowSpec(
        name=f"memory.{scheme.name}",
        description=(
            f"peak memory of training, {scheme.description} / full precision (Hugging Face), {MAXIMUM_TOKENS} tokens"
        ),
        better="lower",
        goal=1.4,
        quick=False,
    )
    for scheme in SCHEMES
)
ALLOCATIONS: tuple[RowSpec, ...] = tuple(
    RowSpec(
        name=f"allocations.{scheme.name}",
        description=f"{scheme.description}: extra tensors of a weight's size, forward and backward of a linear layer",
        better="lower",
        goal=2.0,
    )
    for scheme in SCHEMES
)


def measure_peaks(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Every training in a new process, beyond what the process used before it."""
    installed, missing = match_schemes(specs, config)
    yield from missing
    if not installed:
        return
    names = [REFERENCE, *(scheme.name for _, scheme in installed)]
    arguments = [(name, config) for name in names]
    reference, *peaks = in_processes(training_peak_bytes, arguments, at_once=processors().usable)
    for (spec, _), peak in zip(installed, peaks, strict=True):
        if min(peak, reference) < _SMALLEST_PEAK:
            yield MissingRow(spec=spec, reason=f"the memory of shape '{config.shape}' is too small to measure")
        else:
            note = f"{format_size(peak)} / {format_size(reference)}"
            yield Row(spec=spec, ratio=Ratio.of([peak / reference]), note=note)


def measure_allocations(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """The linear module of a layer that allocates the most, by scheme."""
    installed, missing = match_schemes(specs, config)
    yield from missing
    for spec, scheme in installed:
        extra_tensors = extra_tensors_by_module(scheme.build(config), config)
        largest = max(extra_tensors, key=lambda name: extra_tensors[name].total)
        peak = max(extra.peak for extra in extra_tensors.values())
        note = f"largest: {largest}; peak {peak:.2f}"
        yield Row(spec=spec, ratio=Ratio.of([extra_tensors[largest].total]), note=note)
