from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bebertlab.errors import SetupError, UserError
from bebertlab.kernels.processor import Processor
from bebertlab.kernels.target import kernel_target, kernels_available, request_tiles, target_of


@pytest.fixture(autouse=True)
def _forget_targets() -> Iterator[None]:
    kernel_target.cache_clear()
    yield
    kernel_target.cache_clear()


def test_without_llvmlite_there_is_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_cpu_that_counts_bits_in_vectors() -> None:
    target = target_of(Processor("icelake-server", "+avx512f,+avx512vpopcntdq"))
    assert (target.native_popcount, target.tile_rows) == (True, 8)
    assert (target.cpu, target.features) == ("icelake-server", "+avx512f,+avx512vpopcntdq")
    assert "in one instruction" in target.description


@pytest.mark.parametrize("permitted", [True, False])
def test_a_cpu_with_amx_needs_permission(monkeypatch: pytest.MonkeyPatch, permitted: bool) -> None:
    monkeypatch.setattr("bebertlab.kernels.target.request_tiles", lambda: permitted)
    processor = Processor("sapphirerapids", "+amx-tile,+amx-int8,+avx512bw")
    assert target_of(processor).amx == permitted
    assert ("tiles of bytes" in target_of(processor).description) == permitted
    assert not target_of(processor, "generic").amx
    assert not target_of(Processor("other", "+amx-tile,-amx-int8,+avx512bw")).amx


def test_other_systems_have_no_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not request_tiles()
    monkeypatch.undo()
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not request_tiles()


def test_a_cpu_that_does_not() -> None:
    processor = Processor("skylake", "+avx2,+bmi2,+fma,-avx512f,+avx512vpopcntdq")
    assert (target_of(processor).native_popcount, target_of(processor).tile_rows) == (False, 4)
    assert (target_of(processor, "avx2").cpu, target_of(processor, "avx2").features) == ("haswell", "")
    with pytest.raises(SetupError, match="no avx512: avx512bw, avx512dq, avx512vl missing"):
        target_of(processor, "avx512")


def test_generic_code_needs_nothing() -> None:
    target = target_of(Processor("cpu", ""), "generic")
    assert (target.cpu, target.features, target.native_popcount) == ("generic", "", False)


def test_the_target_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binding = pytest.importorskip("llvmlite.binding")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):  # described by LLVM, and read from the cache
        kernel_target.cache_clear()
        target = kernel_target()
        assert (target.cpu, target.features) == (
            binding.get_host_cpu_name(),
            binding.get_host_cpu_features().flatten(),
        )
