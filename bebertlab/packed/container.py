"""Files of safetensors: written with the same bytes for the same tensors, and read without trust in any of them.

A file is the length of its header (8 bytes, little-endian), the header (JSON: names to dtype, shape and the range of
bytes), and the bytes of the tensors without gaps. Source: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.errors import SetupError, UserError
from bebertlab.files import parse_object
from bebertlab.packed.messages import shown

Array = NDArray[Any]

METADATA = "__metadata__"
LARGEST_HEADER = 2**24  #: bytes; a header of a thousand layers has a quarter of this
_LENGTH = 8  #: bytes of the length of the header, and what the tensors' beginning is aligned to
_MOST_DIMENSIONS = 8
_DTYPES: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@frozen(kw_only=True, eq=False)
class Container:
    """The tensors of a file and its metadata."""

    tensors: Mapping[str, Array]
    metadata: Mapping[str, str]
    size: int  #: bytes of the file


@frozen(kw_only=True)
class Entry:
    """What a header says of a tensor."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int  #: bytes after the header
    end: int

    @property
    def size(self) -> int:
        """Bytes that the shape needs."""
        return math.prod(self.shape) * self.dtype.itemsize


def write_container(tensors: Mapping[str, Array], metadata: Mapping[str, str], path: Path) -> int:
    """Write a file and return its bytes. Tensors are ordered by the size of an element, then by name."""
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))}
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    text += b" " * (-len(text) % _LENGTH)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH, "little"))
        file.write(text)
        for _, array in ordered:
            file.write(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return _LENGTH + len(text) + end


def read_container(path: Path, folder: Path) -> Container:
    """Read a file of a folder into memory, once, and give its tensors as views of that.

    A file that changes later, or is truncated, changes nothing: a mapped one would end the process.

    Raises:
        SetupError: there is no such file, or it cannot be read.
        UserError: it is no regular file, leads out of the folder, or is no safetensors file.
    """
    content = read_contained(path, folder)
    entries, metadata, start = _read_header(content, path)
    tensors = {name: _view(content, entry, start) for name, entry in entries.items()}
    return Container(tensors=tensors, metadata=metadata, size=content.size)


def read_contained(path: Path, folder: Path, limit: int | None = None) -> NDArray[np.uint8]:
    """The bytes of a file that is in a folder, or in the cache of the hub that the folder is in.

    Raises:
        SetupError: there is no such file, or it cannot be read.
        UserError: it is no regular file, has more than `limit` bytes, or a link leads out of the folder.
    """
    try:
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(root) for root in _roots(folder)):
            raise UserError(f"{path}: is a link to {real}, outside of the folder; copy the file into it")
        # a pipe would wait for a writer; what a link leads to was checked, so a new one is not followed
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return _read_regular(descriptor, path, limit)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise SetupError(f"{path}: no such file") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to each other
        reason = getattr(error, "strerror", None) or error
        raise SetupError(f"{path}: cannot be read: {reason}") from error


def _roots(folder: Path) -> Iterator[Path]:
    real = folder.resolve()
    yield real
    if real.parent.name == "snapshots":  # of a repository in the hub's cache, whose files are links into `blobs`
        yield real.parent.parent / "blobs"


def _read_regular(descriptor: int, path: Path, limit: int | None) -> NDArray[np.uint8]:
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        raise UserError(f"{path}: is no regular file")
    if limit is not None and state.st_size > limit:
        raise UserError(f"{path}: has {state.st_size} bytes, expected at most {limit}")
    content = np.empty(state.st_size, dtype=np.uint8)
    filled = 0
    while filled < content.size:
        count = os.readv(descriptor, [content[filled:].data])
        if not count:
            raise UserError(f"{path}: ends after {filled} of {content.size} bytes: it is being written; try again")
        filled += count
    return content


def _read_header(content: NDArray[np.uint8], path: Path) -> tuple[dict[str, Entry], dict[str, str], int]:
    """The entries of the tensors, the metadata, and where the tensors' bytes begin."""
    if content.size < _LENGTH:
        raise UserError(f"{path}: not a safetensors file: it has {content.size} bytes, expected at least {_LENGTH}")
    length = int.from_bytes(content[:_LENGTH].tobytes(), "little")
    start = _LENGTH + length
    if not 0 < length <= min(content.size - _LENGTH, LARGEST_HEADER):
        raise UserError(f"{path}: not a safetensors file: it has {content.size} bytes, its header should have {length}")
    if start % _LENGTH:
        raise UserError(f"{path}: its tensors begin at byte {start}, which is no multiple of {_LENGTH}")
    header = parse_object(content[_LENGTH:start].tobytes(), path)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UserError(f"{path}: {METADATA} is no object of texts")
    entries = {name: _entry(name, data, path) for name, data in header.items()}
    _check_ranges(entries, content.size - start, path)
    return entries, metadata, start


def _entry(name: str, data: object, path: Path) -> Entry:
    """What a header says of a tensor, if it says all and nothing else."""
    if not isinstance(data, dict) or data.keys() != {"dtype", "shape", "data_offsets"}:
        raise UserError(f"{path}: {shown(name)}: expected an object with dtype, shape and data_offsets")
    dtype, shape, offsets = data["dtype"], data["shape"], data["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise UserError(f"{path}: {shown(name)} is of type {shown(dtype)}; expected one of {', '.join(_DTYPES)}")
    if not _is_sizes(shape) or len(shape) > _MOST_DIMENSIONS:
        raise UserError(f"{path}: {shown(name)} has shape {shown(shape)}; expected a list of sizes")
    if not _is_sizes(offsets) or len(offsets) != len(("begin", "end")):
        raise UserError(f"{path}: {shown(name)} has data_offsets {shown(offsets)}; expected where it begins and ends")
    entry = Entry(dtype=_DTYPES[dtype], shape=tuple(shape), begin=offsets[0], end=offsets[1])
    if entry.end - entry.begin != entry.size:
        raise UserError(
            f"{path}: {shown(name)} has {entry.end - entry.begin} bytes, its shape and type need {entry.size}"
        )
    if entry.begin % entry.dtype.itemsize:
        raise UserError(f"{path}: {shown(name)} begins at byte {entry.begin}, not a multiple of {entry.dtype.itemsize}")
    return entry


def _is_sizes(value: object) -> bool:
    # no type is a subclass of int here but bool, which is no size
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _check_ranges(entries: Mapping[str, Entry], size: int, path: Path) -> None:
    """Check that the tensors fill the file, one after the other."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            raise UserError(f"{path}: {shown(name)} begins at byte {entry.begin}, the tensor before it ends at {end}")
        end = entry.end
    if end != size:
        raise UserError(f"{path}: its tensors end at byte {end} after the header, the file at {size}")


def _view(content: NDArray[np.uint8], entry: Entry, start: int) -> Array:
    values = content[start + entry.begin : start + entry.end].view(entry.dtype)
    return values.reshape(entry.shape)
