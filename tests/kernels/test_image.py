from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable

import numpy as np
import pytest

from bebertlab.kernels.executable import ExecutableMemory
from bebertlab.kernels.image import CodeImage, UnsupportedCode, object_image
from bebertlab.kernels.processor import processor_identity

binding = pytest.importorskip("llvmlite.binding")
needs_linux = pytest.mark.skipif(processor_identity() is None, reason="needs Linux on x86-64")

#: functions that call each other, and read constants
CODE = """
@numbers = private constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]
define void @first(i64 %index, i64 %out) {
  %address = getelementptr [4 x i64], [4 x i64]* @numbers, i64 0, i64 %index
  %number = load i64, i64* %address
  %pointer = inttoptr i64 %out to i64*
  store i64 %number, i64* %pointer
  ret void
}
define void @second(i64 %index, i64 %out) noinline {
  call void @first(i64 %index, i64 %out)
  %next = add i64 %out, 8
  call void @first(i64 %index, i64 %next)
  ret void
}
define void @third(i64 %index, i64 %out) {
  call void @second(i64 %index, i64 %out)
  call void @first(i64 0, i64 %out)
  ret void
}
"""


def compiled(code: str = CODE, *, model: str = "large", triple: str = "x86_64-unknown-linux-gnu") -> bytes:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(triple).create_target_machine(opt=0, reloc="pic", codemodel=model)
    module = binding.parse_assembly(code)
    module.triple = triple
    result: bytes = machine.emit_object(module)
    return result


def called(image: CodeImage, function: str, index: int) -> list[int]:
    memory = ExecutableMemory(image)
    out = np.zeros(2, np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(memory.address(function))(index, out.ctypes.data)
    numbers: list[int] = out.tolist()
    return numbers


@needs_linux
@pytest.mark.parametrize("model", ["small", "large"])
def test_images_compute_what_the_code_says(model: str) -> None:
    image = object_image(compiled(model=model))
    assert image.functions.keys() == {"first", "second", "third"}
    for index, number in enumerate((10, 20, 30, 40)):
        assert called(image, "second", index) == [number, number]
        assert called(image, "third", index) == [10, number]


def test_the_large_model_has_a_pointer_a_function_that_is_called() -> None:
    image = object_image(compiled(model="large"))
    assert sorted(image.pointers.values()) == sorted(image.functions[name] for name in ("first", "second"))
    placed = image.placed_at(1 << 40)
    for position, target in image.pointers.items():
        assert struct.unpack_from("<Q", placed, position) == ((1 << 40) + target,)
    assert not object_image(compiled(model="small")).pointers


def test_sections_keep_their_alignment() -> None:
    code = """
@table = internal constant [3 x i8] c"abc", align 256
define void @last(i64 %index, i64 %out) {
  %pointer = inttoptr i64 %out to i64*
  %address = ptrtoint [3 x i8]* @table to i64
  store i64 %address, i64* %pointer
  ret void
}
"""
    image = object_image(compiled(code))
    assert image.content.index(b"abc") % 256 == 0
    if processor_identity() is not None:
        assert called(image, "last", 0)[0] % 256 == 0


OUTSIDE = """
declare void @outside(i64)
define void @inside(i64 %x) {
  call void @outside(i64 %x)
  ret void
}
"""
VARIABLE = """
@state = internal global i64 7
define void @inside(i64 %x) {
  store i64 %x, i64* @state
  ret void
}
"""


@pytest.mark.parametrize("model", ["small", "large"])
def test_functions_of_other_libraries_are_refused(model: str) -> None:
    with pytest.raises(UnsupportedCode, match="refers to 'outside', which is not in the object code"):
        object_image(compiled(OUTSIDE, model=model))


def test_variables_are_refused() -> None:
    with pytest.raises(UnsupportedCode, match=r"a section of type \d+ with flags"):
        object_image(compiled(VARIABLE))


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "x86_64-pc-windows-msvc"])
def test_other_systems_and_processors_are_refused(triple: str) -> None:
    with pytest.raises(UnsupportedCode, match="not a relocatable ELF file for x86-64"):
        object_image(compiled(triple=triple, model="small"))


def changed(data: bytes, change: Callable[[bytearray, int], None]) -> bytes:
    """With a change at the first relocation."""
    content = bytearray(data)
    (sections,) = struct.unpack_from("<Q", content, 0x28)
    (count,) = struct.unpack_from("<H", content, 0x3C)
    for number in range(count):
        _, kind, _, _, offset, *_ = struct.unpack_from("<IIQQQQ", content, sections + 64 * number)
        if kind == 4:  # relocations with addends
            change(content, offset)
            return bytes(content)
    raise AssertionError("there are no relocations")


def test_unknown_relocations_are_refused() -> None:
    def change(content: bytearray, offset: int) -> None:
        struct.pack_into("<I", content, offset + 8, 1)  # R_X86_64_64

    with pytest.raises(UnsupportedCode, match=r"relocations of type 1$"):
        object_image(changed(compiled(model="small"), change))


@pytest.mark.parametrize(("form", "at", "value"), [("<Q", 0, 1 << 40), ("<I", 12, 1000), ("<q", 16, 1 << 40)])
def test_damaged_relocations_are_refused(form: str, at: int, value: int) -> None:
    """The place, the symbol, and a distance that does not fit into 32 bits."""

    def change(content: bytearray, offset: int) -> None:
        struct.pack_into(form, content, offset + at, value)

    with pytest.raises(UnsupportedCode, match="damaged object code"):
        object_image(changed(compiled(model="small"), change))


@pytest.mark.parametrize("data", [b"", b"\x7fELF", bytes(64)])
def test_what_is_no_object_code_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedCode):
        object_image(data)


def test_truncated_object_code_is_refused() -> None:
    data = compiled()
    for size in range(0, len(data), 7):
        with pytest.raises(UnsupportedCode):
            object_image(data[:size])
