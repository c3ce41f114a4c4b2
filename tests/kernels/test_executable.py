from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from bebertlab.kernels.executable import ExecutableMemory
from bebertlab.kernels.image import CodeImage
from bebertlab.kernels.processor import processor_identity

pytestmark = pytest.mark.skipif(processor_identity() is None, reason="needs Linux on x86-64")

#: mov rax, [rip + 1]; ret; then, after the code, a pointer to the byte before it
READ = CodeImage(bytes.fromhex("488b0501000000 c3") + bytes(9), {"read": 0}, {8: 16})
ANSWER = CodeImage(bytes.fromhex("b82a000000 c3"), {"answer": 0}, {})  # mov eax, 42; ret


def test_code_runs() -> None:
    memory = ExecutableMemory(ANSWER)
    assert ctypes.CFUNCTYPE(ctypes.c_int)(memory.address("answer"))() == 42
    assert memory.address("other") == 0


def test_pointers_are_those_of_the_place() -> None:
    memory = ExecutableMemory(READ)
    assert ctypes.CFUNCTYPE(ctypes.c_uint64)(memory.address("read"))() == memory.address("read") + 16


def protection(address: int) -> str | None:
    """That of the memory of this process at an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(bound, 16) for bound in line.split()[0].split("-"))
        if start <= address < end:
            return line.split()[1]
    return None


def test_memory_is_never_writable_and_executable() -> None:
    memory = ExecutableMemory(ANSWER)
    assert protection(memory.address("answer")) == "r-xp"


def test_memory_is_given_back() -> None:
    image = CodeImage(ANSWER.content + bytes(2**20), ANSWER.functions, {})
    memory = ExecutableMemory(image)
    address = memory.address("answer")
    del memory
    gc.collect()
    assert protection(address) != "r-xp"


def test_a_system_that_refuses_executable_memory_is_noticed() -> None:
    code = """
import ctypes
from bebertlab.kernels.processor import _IMAGE, processor_identity
from bebertlab.kernels.executable import ExecutableMemory
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    print("skip")
    raise SystemExit
try:
    ExecutableMemory(_IMAGE)
except PermissionError as error:
    print(error, processor_identity())
"""
    output = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)
    if output == "skip\n":
        pytest.skip("Linux is older than 6.3")
    assert output == "[Errno 13] memory cannot be made executable: Permission denied None\n"
