from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bebertlab.errors import SetupError, UserError
from bebertlab.kernels.target import kernel_target, kernels_available


@pytest.fixture(autouse=True)
def _forget_targets() -> Iterator[None]:
    kernel_target.cache_clear()
    yield
    kernel_target.cache_clear()


def test_without_llvmlite_there_is_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("bebertlab.kernels.target.find_spec", lambda name: None)
    assert not kernels_available()
    with pytest.raises(SetupError, match=r"pip install 'bebertlab\[fast\]'"):
        kernel_target()


def test_big_endian_machines_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    assert not kernels_available()


def test_unknown_instruction_sets_are_named() -> None:
    with pytest.raises(UserError, match="unknown instruction set 'mmx'; known: native, avx2, avx512, generic"):
        kernel_target("mmx")


def features_of(monkeypatch: pytest.MonkeyPatch, **features: bool) -> None:
    binding = pytest.importorskip("llvmlite.binding")

    class Features(dict[str, Any]):
        def flatten(self) -> str:
            return ",".join(f"+{name}" for name, present in self.items() if present)

    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: Features(features))


def test_a_cpu_that_counts_bits_in_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    features_of(monkeypatch, avx512f=True, avx512vpopcntdq=True)
    target = kernel_target()
    assert (target.native_popcount, target.tile_rows, target.features) == (True, 8, "+avx512f,+avx512vpopcntdq")
    assert "in one instruction" in target.description


def test_a_cpu_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    features_of(monkeypatch, avx2=True, bmi2=True, fma=True)
    assert (kernel_target().native_popcount, kernel_target().tile_rows) == (False, 4)
    assert kernel_target("avx2").cpu == "haswell"
    with pytest.raises(SetupError, match="no avx512: avx512bw, avx512dq, avx512vl missing"):
        kernel_target("avx512")


def test_generic_code_needs_nothing() -> None:
    pytest.importorskip("llvmlite")
    assert (kernel_target("generic").cpu, kernel_target("generic").features) == ("generic", "")
