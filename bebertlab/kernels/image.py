"""Object code as an image: a block of bytes that has only to be copied to memory, and where its functions begin.

Understands relocatable ELF files for x86-64 whose code refers to nothing outside of itself.
Source: "System V Application Binary Interface, AMD64 Architecture Processor Supplement", chapter 4 and, for the large
code model, section 4.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Self

from attrs import field, frozen

PAGE = 4096  #: bytes; no section is aligned to more

_IDENTIFICATION = b"\x7fELF\x02\x01\x01"  #: 64 bits, little-endian, version 1
_RELOCATABLE, _X86_64 = 1, 62
_HEADER, _SECTION, _SYMBOL, _RELOCATION = map(struct.Struct, ("<16sHHIQQQIHHHHHH", "<IIQQQQIIQQ", "<IBBHQQ", "<QQq"))
_PROGRAM, _SYMBOLS, _WITH_ADDENDS, _WITHOUT_ADDENDS = 1, 2, 4, 9  # types of sections
_UNWIND = 0x70000001  # the type of tables for debuggers and exceptions, which are left out
_WRITE, _ALLOCATE, _THREAD_LOCAL = 1, 2, 0x400  # flags of sections
_GLOBAL_FUNCTION = 0x12  # what a symbol is
_TABLE = "_GLOBAL_OFFSET_TABLE_"
_RELATIVE = {2: "<i", 4: "<i", 24: "<q"}  #: R_X86_64_PC32, PLT32, PC64: from the place to a symbol
_TO_TABLE, _FROM_TABLE, _ENTRY = 29, 25, 27  #: R_X86_64_GOTPC64, GOTOFF64, GOT64
_POINTER = 8  #: bytes


class UnsupportedCode(Exception):
    """Object code is not of the kind that becomes an image; says why."""


@frozen
class CodeImage:
    """Code and constants, to be copied to the beginning of a page."""

    content: bytes
    functions: Mapping[str, int]  #: where each begins
    pointers: Mapping[int, int]  #: positions of addresses: what each points to, from the beginning of the image

    def placed_at(self, address: int) -> bytes:
        """The content for an address, with the pointers of that place."""
        content = bytearray(self.content)
        for position, target in self.pointers.items():
            struct.pack_into("<Q", content, position, address + target)
        return bytes(content)


def object_image(data: bytes) -> CodeImage:
    """The image of an object file.

    Raises:
        UnsupportedCode: it is of another format or processor, is damaged, or refers to something outside of it.
    """
    try:
        return _Layout.of(data).image()
    except (struct.error, IndexError, ValueError) as error:
        raise UnsupportedCode(f"damaged object code: {error}") from error


@frozen
class _Section:
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int


@frozen
class _Symbol:
    name: str
    kind: int
    position: int | None  #: in the image; None where it is not in a section of it


@frozen(eq=False)
class _Layout:
    """Sections one after the other, then the table of addresses that code of the large model reads."""

    data: bytes
    sections: list[_Section]
    starts: Mapping[int, int]  #: of sections in the image, by their numbers
    content: bytearray
    table: int  #: where the table of addresses begins
    entries: dict[int, int] = field(factory=dict)  #: of the table: what each points to, and the position of the entry

    @classmethod
    def of(cls, data: bytes) -> Self:
        identification, kind, machine, *_, offset, _, _, _, _, size, count, _ = _HEADER.unpack_from(data)
        if (identification[:7], kind, machine) != (_IDENTIFICATION, _RELOCATABLE, _X86_64) or size != _SECTION.size:
            raise UnsupportedCode("not a relocatable ELF file for x86-64")
        sections = [_section(data, offset + number * size) for number in range(count)]
        starts: dict[int, int] = {}
        content = bytearray()
        for number, section in enumerate(sections):
            if section.flags & _ALLOCATE and section.size and section.type != _UNWIND:
                _check_section(section)
                content += bytes(-len(content) % max(section.alignment, 1))
                starts[number] = len(content)
                content += _bytes_of(data, section)
        content += bytes(-len(content) % _POINTER)
        return cls(data, sections, starts, content, len(content))

    def image(self) -> CodeImage:
        functions: dict[str, int] = {}
        for section in self.sections:
            if section.type == _SYMBOLS:
                functions |= {
                    symbol.name: symbol.position
                    for symbol in self._symbols(section)
                    if symbol.kind == _GLOBAL_FUNCTION and symbol.position is not None
                }
            elif section.type in (_WITH_ADDENDS, _WITHOUT_ADDENDS) and section.info in self.starts:
                self._relocate(section)
        pointers = {position: target for target, position in self.entries.items()}
        return CodeImage(bytes(self.content), functions, pointers)

    def _symbols(self, section: _Section) -> Iterator[_Symbol]:
        names = _bytes_of(self.data, self.sections[section.link])
        for name, kind, _, number, value, _ in _SYMBOL.iter_unpack(_bytes_of(self.data, section)):
            start = self.starts.get(number)
            position = None if start is None else start + value
            yield _Symbol(names[name : names.index(b"\0", name)].decode("ascii"), kind, position)

    def _relocate(self, section: _Section) -> None:
        if section.type == _WITHOUT_ADDENDS:
            raise UnsupportedCode("relocations without addends")
        symbols = [*self._symbols(self.sections[section.link])]
        start = self.starts[section.info]
        for offset, info, addend in _RELOCATION.iter_unpack(_bytes_of(self.data, section)):
            symbol, kind, place = symbols[info >> 32], info & 0xFFFFFFFF, start + offset
            if kind == _TO_TABLE and symbol.name == _TABLE:
                self._write("<q", place, self.table + addend - place)
                continue
            target = symbol.position
            if target is None:
                raise UnsupportedCode(f"refers to {symbol.name or 'a section'!r}, which is not in the object code")
            if kind in _RELATIVE:
                self._write(_RELATIVE[kind], place, target + addend - place)
            elif kind == _FROM_TABLE:
                self._write("<q", place, target + addend - self.table)
            elif kind == _ENTRY:
                self._write("<q", place, self._entry(target) + addend - self.table)
            else:
                raise UnsupportedCode(f"relocations of type {kind}")

    def _write(self, form: str, place: int, value: int) -> None:
        struct.pack_into(form, self.content, place, value)

    def _entry(self, target: int) -> int:
        """The position of the entry that points to a target, which is added where it is missing."""
        if target not in self.entries:
            self.entries[target] = len(self.content)
            self.content.extend(bytes(_POINTER))
        return self.entries[target]


def _section(data: bytes, offset: int) -> _Section:
    _, kind, flags, _, begin, size, link, info, alignment, _ = _SECTION.unpack_from(data, offset)
    return _Section(kind, flags, begin, size, link, info, alignment)


def _check_section(section: _Section) -> None:
    if section.type != _PROGRAM or section.flags & (_WRITE | _THREAD_LOCAL) or section.alignment > PAGE:
        raise UnsupportedCode(f"a section of type {section.type} with flags {section.flags:#x}")


def _bytes_of(data: bytes, section: _Section) -> bytes:
    content = data[section.offset : section.offset + section.size]
    if len(content) != section.size:
        raise UnsupportedCode("damaged object code: it is truncated")
    return content
