"""The tensors of a checkpoint: a safetensors file, a pickle of torch, or shards of either."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from bebertlab.errors import UserError
from bebertlab.files import check_file, describe_start
from bebertlab.nn.config_checks import FULL_PRECISION
from bebertlab.nn.names import unwrapped
from bebertlab.nn.pickled import read_pickle
from bebertlab.nn.weight_files import is_index, shard_of_names, weight_files

T = TypeVar("T")

_SAFETENSORS = ".safetensors"
FLOATS = ("float32", "float16", "bfloat16", "float64")  #: types that weights may have
#: torch's names of safetensors' types
_TYPES = {
    **{"I8": "int8", "U8": "uint8", "I16": "int16", "I32": "int32", "I64": "int64", "BOOL": "bool"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu", "C64": "complex64"},
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
}
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02\x8a\n"  #: how files of torch begin, those of today and old ones
#: tensors that no training makes zero as a whole
_NEVER_ZERO = re.compile(r".*(LayerNorm\.(weight|gamma)|(dense|query|key|value|word_embeddings)\.weight)")
#: whole numbers that lie beside weights: positions and segments of old files, and a count of averaged models
_COUNTS = ("position_ids", "token_type_ids", "n_averaged")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of the weights in a folder, by their names without wrappers.

    Raises:
        EnvironmentFault: a file is missing, or a pointer of git-lfs.
        UserError: a file is damaged, or holds more than tensors, whose code would have to run; or a tensor is not of
            finite numbers of 16, 32 or 64 bits.
    """
    return _read(path, _read_file)


def weight_shapes(path: Path) -> dict[str, torch.Size]:
    """The shapes of the tensors that `read_weights` gives; of safetensors files only the headers are read.

    Raises:
        EnvironmentFault: a file is missing, or a pointer of git-lfs.
        UserError: as `read_weights`; numbers that are not finite are found there only where this reads them.
    """
    return _read(path, _shapes_of_file)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, of whatever type.

    Raises:
        EnvironmentFault: it is missing, or a pointer of git-lfs.
        UserError: it is damaged.
    """
    check_file(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error) from error
    return tensors


def safetensors_types(path: Path) -> dict[str, tuple[str, torch.Size]]:
    """The types (as in `torch.float32`, without `torch.`) and shapes of the tensors of a file, from its header.

    Raises:
        EnvironmentFault: it is missing, or a pointer of git-lfs.
        UserError: it is damaged.
    """
    check_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return {
                name: (_TYPES.get(part.get_dtype(), part.get_dtype()), torch.Size(part.get_shape()))
                for name, part in slices.items()
            }
    except SafetensorError as error:
        raise _damaged(path, error) from error


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Check that all numbers are finite, in single precision too.

    Raises:
        UserError: the first tensor that has another one.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        ends = torch.stack(tensor.aminmax()).to(torch.float32)  # one pass without a copy; NaN is both ends
        if not torch.isfinite(ends).all():
            raise UserError(f"{name} has numbers that are not finite (NaN or infinite)")


def _read(path: Path, read: Callable[[Path], dict[str, T]]) -> dict[str, T]:
    first, *shards = weight_files(path)
    if not is_index(first):
        tensors = read(first)
    else:
        parts = {shard.relative_to(first.parent).as_posix(): read(shard) for shard in shards}
        _check_shards(first, {shard: part.keys() for shard, part in parts.items()})
        tensors = {name: tensor for part in parts.values() for name, tensor in part.items()}
    if odd := [name for name in tensors if not name.isprintable()]:
        raise UserError(f"{first}: {odd[0]!r} is no name of a tensor, so the file is damaged; fetch it again")
    try:
        return unwrapped(tensors)
    except UserError as error:
        raise UserError(f"{first}: {error}") from error


def _check_written(tensors: Mapping[str, Tensor]) -> None:
    """Check that no matrix or scale of a LayerNorm is zero, as in the rest of a file whose download broke off."""
    for name, tensor in tensors.items():
        if _NEVER_ZERO.fullmatch(name) and tensor.numel() and not tensor.any():
            raise UserError(f"{name} is all zeros, as where a file is only half written; fetch it again")


def _check_shards(index: Path, names: Mapping[str, Collection[str]]) -> None:
    """Check that the index says of every tensor in which shard it is."""
    said = shard_of_names(index)
    for name, shard in said.items():
        if name not in names[Path(shard).as_posix()]:
            raise UserError(f"{index}: {name} is not in {shard}, where it should be; fetch both again")
    for shard, there in names.items():
        for name in there:
            if name not in said or Path(said[name]).as_posix() != shard:
                where = f"says that it is in {said[name]}" if name in said else "does not have it"
                raise UserError(f"{index}: {name} is in {shard}, but the index {where}; fetch both again")


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix == _SAFETENSORS:
        _shapes_of_file(path)
        tensors = read_safetensors(path)
    else:
        tensors = read_pickle(path)
    try:
        for name, tensor in tensors.items():
            _check_tensor(name, tensor)
        check_finite(tensors)
        _check_written(tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _shapes_of_file(path: Path) -> dict[str, torch.Size]:
    if path.suffix != _SAFETENSORS:
        return {name: tensor.shape for name, tensor in _read_file(path).items()}
    found = safetensors_types(path)
    for name, (kind, _) in found.items():
        _check_type(name, kind, path)
    return {name: shape for name, (_, shape) in found.items()}


def _check_tensor(name: str, tensor: Tensor) -> None:
    if type(tensor) not in (Tensor, nn.Parameter):
        raise UserError(f"{name} is a {type(tensor).__name__}; save it as a plain tensor")
    if tensor.layout != torch.strided or tensor.is_nested:
        layout = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
        raise UserError(f"{name} is not a dense tensor ({layout}); save it as a dense one")
    if tensor.is_meta:
        raise UserError(f"{name} has no numbers (it is on the device 'meta'); save the model with its weights")
    _check_type(name, str(tensor.dtype).removeprefix("torch."))


def _check_type(name: str, kind: str, path: Path | None = None) -> None:
    if kind in FLOATS or name.endswith(_COUNTS):
        return
    raise UserError(
        f"{'' if path is None else f'{path}: '}{name} is of type {kind}; expected one of {', '.join(FLOATS)}:"
        f" {FULL_PRECISION}"
    )


def _damaged(path: Path, error: Exception) -> UserError:
    with path.open("rb") as file:
        if file.read(len(_ZIP)) in (_ZIP, _PICKLE):
            return UserError(f"{path}: not a safetensors file, but a pickle of torch; name it pytorch_model.bin")
    reason = describe_start(path) or next(iter(str(error).splitlines()), type(error).__name__)
    return UserError(f"{path}: not a readable safetensors file: {reason}; fetch it again")
