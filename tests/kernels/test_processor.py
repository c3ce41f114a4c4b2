from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from bebertlab.kernels import processor
from bebertlab.kernels.cache import KernelCache
from bebertlab.kernels.executable import ExecutableMemory
from bebertlab.kernels.image import CodeImage
from bebertlab.kernels.processor import Processor, host_processor, processor_identity

needs_identity = pytest.mark.skipif(processor_identity() is None, reason="needs Linux on x86-64")


def described(monkeypatch: pytest.MonkeyPatch, name: str, identity: bytes | None) -> Processor:
    """A CPU that LLVM describes, and that has an identity."""
    described = Processor(name, f"+{name},-other")
    monkeypatch.setattr(processor, "_by_llvm", lambda: described)
    monkeypatch.setattr(processor, "processor_identity", lambda: identity)
    return described


def test_features() -> None:
    cpu = Processor("cpu", "+avx2,-avx512f,+sse4.1")
    assert (cpu.has("avx2"), cpu.has("avx512f"), cpu.has("avx"), cpu.has("sse4.1")) == (True, False, False, True)
    assert not Processor("cpu", "").has("avx2")


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="needs Linux on x86-64")
def test_an_identity_is_that_of_cpuid() -> None:
    """Its first words are the largest leaf and the vendor, which the system reads the same way."""
    identity = processor_identity()
    assert identity is not None
    words = memoryview(identity).cast("Q")
    vendor = b"".join(int(words[index]).to_bytes(4, "little") for index in (3, 5, 4))
    assert f"vendor_id\t: {vendor.decode()}\n" in Path("/proc/cpuinfo").read_text()


@needs_identity
def test_an_identity_does_not_depend_on_the_core() -> None:
    cores = os.sched_getaffinity(0)
    identities = set()
    try:
        for core in cores:
            os.sched_setaffinity(0, {core})
            identities.add(processor_identity())
    finally:
        os.sched_setaffinity(0, cores)
    assert len(identities) == 1


@needs_identity
def test_an_identity_has_the_registers_that_the_system_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without AVX-512 on a CPU with it: XGETBV returns another number, CPUID the same."""
    before = processor_identity()
    code = processor._CPUID + bytes.fromhex("31c0 c3") + bytes(8)  # xor eax, eax; ret
    image = CodeImage(code, {"cpuid": 0, "enabled": len(processor._CPUID)}, {})
    monkeypatch.setattr(processor, "_IMAGE", image)
    assert processor_identity() != before


def test_llvm_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    kept = KernelCache(tmp_path / "folder")
    first = described(monkeypatch, "first", b"identity")
    assert host_processor(kept) == first
    monkeypatch.setattr(processor, "_by_llvm", lambda: pytest.fail("LLVM is asked again"))
    assert host_processor(kept) == first


def test_a_folder_that_machines_share_never_mixes_their_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    kept = KernelCache(tmp_path / "folder")
    machines = [(name, name.encode()) for name in ("one", "two", "three")]
    for _ in range(2):
        for name, identity in machines:
            expected = described(monkeypatch, name, identity)
            assert host_processor(kept) == expected
    assert len([*(tmp_path / "folder").iterdir()]) == 3
    # a file copied to the name of another machine is not read
    (first, second, _) = (tmp_path / "folder").iterdir()
    second.write_bytes(first.read_bytes())
    for name, identity in machines:
        expected = described(monkeypatch, name, identity)
        assert host_processor(kept) == expected


def test_another_version_of_llvmlite_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llvmlite = pytest.importorskip("llvmlite")
    kept = KernelCache(tmp_path / "folder")
    described(monkeypatch, "before", b"identity")
    host_processor(kept)
    after = described(monkeypatch, "after", b"identity")
    monkeypatch.setattr(llvmlite, "__version__", "another")
    assert host_processor(kept) == after


def test_without_an_identity_llvm_is_asked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KernelCache(tmp_path / "folder")
    for name in ("before", "after"):
        expected = described(monkeypatch, name, None)
        assert host_processor(kept) == expected
    assert not (tmp_path / "folder").exists()


def test_where_memory_does_not_become_executable_there_is_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: ExecutableMemory, image: object) -> None:
        raise PermissionError("refused")

    monkeypatch.setattr(ExecutableMemory, "__init__", refused)
    assert processor_identity() is None


def test_the_cached_description_is_that_of_llvm(tmp_path: Path) -> None:
    binding = pytest.importorskip("llvmlite.binding")
    kept = KernelCache(tmp_path / "folder")
    expected = Processor(binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    assert [host_processor(kept), host_processor(kept)] == [expected, expected]
