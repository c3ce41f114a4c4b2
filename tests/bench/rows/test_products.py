from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bebertlab.bench import rivals
from bebertlab.bench.measurement import MissingRow, Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import products
from bebertlab.bench.rows.products import PRODUCTS, measure_products
from bebertlab.inference.integers import exact_products
from bebertlab.kernels.target import kernels_available

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings

needs_both = pytest.mark.skipif(not (exact_products() and kernels_available()), reason="needs oneDNN int8 and llvmlite")


@needs_both
def test_products_of_bits_are_compared_with_those_of_8_bits(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "interleave", fixed_timings({"int8": 6e-6, "bits": 1e-6}))
    row, *others = measure_products(PRODUCTS, config)
    assert isinstance(row, Row)
    assert row.spec.name == "gemm.w1a1-32"
    assert row.ratio.median == pytest.approx(6.0)
    assert row.note.startswith("32x32x32: 10.9 / 65.5 Gop/s; ")
    assert len(others) == len(PRODUCTS) - 1


@needs_both
@pytest.mark.parametrize("bits", [1, 4])
def test_inputs_have_all_levels_of_their_bits(bits: int) -> None:
    row = next(row for row in products._ROWS if row.input_bits == bits)
    generator = np.random.default_rng(0)
    linear = products._plane_linear(generator, 16, 64)
    inputs = products._inputs(generator, row, 64)
    counts = linear.counts(inputs)
    assert inputs.planes == bits
    assert counts.shape == (32, 16)
    assert len(np.unique(counts)) > 16


def test_rows_are_missing_without_int8_products(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "exact_products", lambda: False)
    (row,) = measure_products(PRODUCTS[:1], config)
    assert isinstance(row, MissingRow)
    assert "oneDNN" in row.reason
