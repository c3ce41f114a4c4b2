from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels, compile_kernels
from bebertlab.kernels.emit import TOKENS, Emitter
from bebertlab.kernels.target import KernelTarget


def emit_samples(e: Emitter) -> None:
    with e.function("transpose", "source", "out") as (source, out):
        rows = [e.load(e.floats, source + 64 * row) for row in range(TOKENS)]
        for row, column in enumerate(e.transpose(rows)):
            e.store(column, out + 64 * row)
    with e.function("square", "source", "out", "count") as (source, out, count), e.loop(count) as index:
        value = e.load(e.i64, source + index * 8)
        result = e.variable(value * value)
        with e.when(value < 0):
            result.value = e.number(e.i64, -1)
        e.store(result.value, out + index * 8)
    with e.function("squares", "source", "out", "count") as (source, out, count):
        e.call("square", source, out, count.minimum(e.number(e.i64, 3)))
        e.call("square", source + 8, out + 32, (count - 100).maximum(e.number(e.i64, 1)))
    with e.function("arithmetic", "source", "out") as (source, out):
        x, y = e.load(e.floats, source), e.load_splat(e.f32, source + 60)
        e.store(((x - y) * x / y + 1).square_root(), out)
        words = x.cast("bitcast", e.words)
        e.store(words.popcount() ^ (words >> 31) | (words & 6) << 3, out + 64)
        e.store(words.push_sign_of(y.cast("bitcast", e.words)), out + 128)
        e.store(e.load(e.i64, source).divide(7), out + 192)


@pytest.fixture(scope="module")
def samples(target: KernelTarget) -> Kernels:
    e = Emitter(native_popcount=target.native_popcount, tile_rows=target.tile_rows)
    emit_samples(e)
    return compile_kernels(e, target)


def test_a_matrix_is_transposed(samples: Kernels) -> None:
    source = np.arange(TOKENS * TOKENS, dtype=np.float32).reshape(TOKENS, TOKENS)
    out = np.empty_like(source)
    samples.call("transpose", source.ctypes.data, out.ctypes.data)
    assert (out == source.T).all()


@pytest.mark.parametrize(("count", "expected"), [(0, [0] * 6), (1, [1, 0, 0, 0, 0, 0]), (5, [1, 4, -1, 16, 25, 0])])
def test_loops_and_branches(samples: Kernels, count: int, expected: list[int]) -> None:
    source, out = np.array([1, 2, -3, 4, 5, 6]), np.zeros(6, np.int64)
    samples.call("square", source.ctypes.data, out.ctypes.data, count)
    assert out.tolist() == expected


def test_functions_call_each_other(samples: Kernels) -> None:
    source, out = np.arange(2, 8), np.zeros(6, np.int64)
    samples.call("squares", source.ctypes.data, out.ctypes.data, 6)
    assert out.tolist() == [4, 9, 16, 0, 9, 0]


def test_operators_do_what_numpy_does(samples: Kernels) -> None:
    source = np.random.default_rng(0).standard_normal(TOKENS).astype(np.float32)
    source[-1] = 0.1  # the last lane, which is loaded into all lanes
    out = np.zeros(50, np.uint32)
    samples.call("arithmetic", source.ctypes.data, out.ctypes.data)
    words, y = source.view(np.uint32), source[-1]
    with np.errstate(invalid="ignore"):
        expected = np.sqrt((source - y) * source / y + np.float32(1))
    np.testing.assert_array_equal(out[:16].view(np.float32), expected)
    np.testing.assert_array_equal(out[16:32], (np.bitwise_count(words) ^ (words >> 31)) | ((words & 6) << 3))
    np.testing.assert_array_equal(out[32:48], words << 1)
    assert out[48:].view(np.uint64)[0] == source[:2].view(np.uint64)[0] // 7


def test_code_does_not_depend_on_the_machine_that_writes_it(tmp_path: Path) -> None:
    pytest.importorskip("llvmlite")
    texts = set()
    for _ in range(2):
        e = Emitter(native_popcount=True, tile_rows=8)
        emit_samples(e)
        texts.add(str(e.module))
    assert len(texts) == 1
