"""Products of bits alone, against the fastest products of 8 bits that torch has: both from levels to scaled floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from attrs import frozen

from bebertlab.bench.int8 import Int8Product
from bebertlab.bench.measurement import MissingRow, Row, RowResult, RowSpec, interleave, repeated
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rivals import STATIC_INT8
from bebertlab.kernels.layout import WeightTiles
from bebertlab.kernels.product import InputBlocks, PlaneLinear, pack_inputs

_GOALS = {1: 5.0, 4: 1.3}  #: by bits of the inputs
_BLOCK_SECONDS = 0.05


@frozen(kw_only=True)
class _ProductRow:
    spec: RowSpec
    input_bits: int
    tokens: int
    ffn: bool  #: the inputs are those of the second feed-forward layer

    def columns(self, config: BenchConfig) -> int:
        """Inputs of the product."""
        return config.architecture.ffn if self.ffn else config.architecture.hidden


_ROWS = tuple(
    _ProductRow(
        spec=RowSpec(
            name=f"gemm.w1a{bits}-{tokens}{'-ffn' if ffn else ''}",
            description=(
                f"oneDNN int8 product / product of bits, W1A{bits}, {tokens} tokens,"
                f" from the {'feed-forward' if ffn else 'hidden'} size to the hidden size"
            ),
            better="higher",
            goal=goal,
            goal_shape="base",
        ),
        input_bits=bits,
        tokens=tokens,
        ffn=ffn,
    )
    for bits, goal in _GOALS.items()
    for tokens in (32, 128)
    for ffn in (False, True)
)
PRODUCTS = tuple(row.spec for row in _ROWS)


def measure_products(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Both sides of a row alternate; inputs are packed beforehand, as a kernel before the product does it."""
    for row in _ROWS:
        if row.spec not in specs:
            continue
        if reason := STATIC_INT8.missing_reason:
            yield MissingRow(spec=row.spec, reason=reason)
        else:
            yield _measure(row, config)


def _measure(row: _ProductRow, config: BenchConfig) -> Row:
    rows, columns = config.architecture.hidden, row.columns(config)
    generator = np.random.default_rng(config.seed)
    linear = _plane_linear(generator, rows, columns)
    inputs = _inputs(generator, row, columns)
    weight = torch.from_numpy(generator.standard_normal((rows, columns), dtype=np.float32))
    product = Int8Product(weight, torch.zeros(rows))
    levels = torch.from_numpy(generator.integers(0, 256, (row.tokens, columns), dtype=np.uint8))
    calls: dict[str, Callable[[], object]] = {
        "int8": partial(product, levels),
        "bits": partial(linear, inputs, 1.0),
    }
    timings = interleave(repeated(calls, config.device, at_least=_BLOCK_SECONDS), config.repeats)
    operations = 2 * row.tokens * rows * columns
    rates = " / ".join(f"{operations / timings.median(name) / 1e9:.3g}" for name in calls)
    note = f"{row.tokens}x{rows}x{columns}: {rates} Gop/s; {linear.kernels.target.description}"
    return Row(spec=row.spec, ratio=timings.ratio("int8", "bits"), note=note)


def _plane_linear(generator: np.random.Generator, rows: int, columns: int) -> PlaneLinear:
    signs = generator.integers(0, 2, (rows, columns)) * 2 - 1
    return PlaneLinear.of(WeightTiles.of_levels(signs, -1, 2, 1), 1.0, np.zeros(rows, np.float32))


def _inputs(generator: np.random.Generator, row: _ProductRow, columns: int) -> InputBlocks:
    indices = generator.integers(0, 2**row.input_bits, (row.tokens, columns))
    low, spacing = (-1, 2) if row.input_bits == 1 else (-(2 ** (row.input_bits - 1)), 1)
    return pack_inputs((low + spacing * indices).astype(np.int8), low, spacing, row.input_bits)
