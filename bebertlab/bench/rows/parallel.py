"""Packed models on two threads: the members of an ensemble, and batches of a single model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from bebertlab.bench.data import generated_batches, sentence_lengths
from bebertlab.bench.measurement import (
    BLOCK_SECONDS,
    MissingRow,
    Row,
    RowResult,
    RowSpec,
    Timings,
    interleave,
    repeated,
)
from bebertlab.bench.models import BIBERT, BenchConfig
from bebertlab.bench.packed import load_packed, pack_scheme
from bebertlab.bench.rivals import predict_all
from bebertlab.inference.devices import torch_threads
from bebertlab.processors import processors

_TOKENS = 128
_BATCH_SIZE, _SENTENCES = 32, 64

MEMBERS = RowSpec(
    name="threads.members",
    description=f"two members on two threads / one member on one thread, packed BiBERT, a sentence of {_TOKENS} tokens",
    better="lower",
    goal=1.15,
    goal_shape="base",
)
BATCHES = RowSpec(
    name="threads.batches",
    description=f"sentences/s on two threads / on one, packed BiBERT, batches of {_BATCH_SIZE} at lengths of SST-2",
    better="higher",
    goal=1.8,
    goal_shape="base",
)
PARALLEL = (MEMBERS, BATCHES)
_ONE, _TWO = "one thread", "two threads"


def measure_parallel(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Two threads call two models at once, or one call has two threads."""
    if not BIBERT.installed(config):
        yield from (MissingRow(spec=spec, reason=BIBERT.missing_reason) for spec in specs)
        return
    if processors().usable < 2:
        yield from (MissingRow(spec=spec, reason="needs at least two cores") for spec in specs)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "packed"
        pack_scheme(BIBERT, config, folder)
        for spec in specs:
            measure = _measure_members if spec is MEMBERS else _measure_batches
            yield measure(folder, config)


def _measure_members(folder: Path, config: BenchConfig) -> Row:
    """Two models of the same weights are as much work as two of different ones, and share no memory."""
    batches = generated_batches(np.array([_TOKENS], dtype=np.int64), 1, config)
    first, second = (partial(predict_all, load_packed(folder, config).logits, batches) for _ in range(2))
    with ThreadPoolExecutor(2) as pool:

        def both() -> None:
            futures = [pool.submit(first), pool.submit(second)]
            for future in futures:
                future.result()

        timings = _interleave({_ONE: first, _TWO: both}, config)
    note = f"{1000 * timings.median(_TWO):.3g} / {1000 * timings.median(_ONE):.3g} ms"
    return Row(spec=MEMBERS, ratio=timings.ratio(_TWO, _ONE), note=note)


def _measure_batches(folder: Path, config: BenchConfig) -> Row:
    batches = generated_batches(sentence_lengths(_SENTENCES, config.seed), _BATCH_SIZE, config)
    predict = partial(predict_all, load_packed(folder, config).logits, batches)
    timings = _interleave({_ONE: partial(_with_threads, 1, predict), _TWO: partial(_with_threads, 2, predict)}, config)
    note = " / ".join(f"{_SENTENCES / timings.median(name):.0f}" for name in (_TWO, _ONE))
    return Row(spec=BATCHES, ratio=timings.ratio(_ONE, _TWO), note=f"{note} sentences/s")


def _with_threads(threads: int, call: Callable[[], None]) -> None:
    with torch_threads(threads):
        call()


def _interleave(calls: Mapping[str, Callable[[], None]], config: BenchConfig) -> Timings:
    return interleave(repeated(calls, config.device, at_least=BLOCK_SECONDS), config.repeats)
