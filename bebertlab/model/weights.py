"""The tensors of a checkpoint: a safetensors file, a pickle of torch, or shards of either."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from bebertlab.errors import UserError, first_line
from bebertlab.files import check_file, describe_start, is_safetensors
from bebertlab.model.huggingface import FULL_PRECISION
from bebertlab.model.parameter_names import is_never_zero, unwrapped
from bebertlab.model.weight_files import is_index, shard_of_names, weight_files

T = TypeVar("T")

_SAFETENSORS = ".safetensors"
FLOATS = ("float32", "float16", "bfloat16", "float64")  #: types that weights may have
#: torch's names of safetensors' types
_TYPES = {
    **{"I8": "int8", "U8": "uint8", "I16": "int16", "I32": "int32", "I64": "int64", "BOOL": "bool"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu", "C64": "complex64"},
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
}
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02\x8a\n"  #: how files of `torch.save` begin, of current and of old versions
#: integer tensors that files of weights may have: positions and segments in old ones, the count of averaged models
_COUNTS = ("position_ids", "token_type_ids", "n_averaged")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of the weights in a folder, by their names without wrappers.

    Raises:
        SetupError: a file is missing, or a pointer of git-lfs.
        UserError: a file is damaged, or holds more than tensors, whose code would have to run; or a tensor is not of
            finite numbers of 16, 32 or 64 bits.
    """
    return _read(path, _read_file)


def weight_shapes(path: Path) -> dict[str, torch.Size]:
    """The shapes of the tensors that `read_weights` gives; of safetensors files only the headers are read.

    Raises:
        SetupError: a file is missing, or a pointer of git-lfs.
        UserError: as `read_weights`; values that are not finite are noticed only in files that are read as a whole.
    """
    return _read(path, _shapes_of_file)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, of any type.

    Raises:
        SetupError: it is missing, or a pointer of git-lfs.
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
        SetupError: it is missing, or a pointer of git-lfs.
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
    """Check that all values are finite, in single precision too.

    Raises:
        UserError: one is not; names the first such tensor.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        ends = torch.stack(tensor.aminmax()).to(torch.float32)  # one pass without a copy; NaN becomes both ends
        if not torch.isfinite(ends).all():
            raise UserError(f"{name} has values that are not finite (NaN or infinite)")


def _read(path: Path, read: Callable[[Path], dict[str, T]]) -> dict[str, T]:
    first, *shards = weight_files(path)
    if not is_index(first):
        tensors = read(first)
    else:
        parts = {shard.relative_to(first.parent).as_posix(): read(shard) for shard in shards}
        _check_shards(first, {shard: part.keys() for shard, part in parts.items()})
        tensors = {name: tensor for part in parts.values() for name, tensor in part.items()}
    if unprintable := [name for name in tensors if not name.isprintable()]:
        raise UserError(
            f"{first}: {unprintable[0]!r} is not the name of a tensor, so the file is damaged; fetch it again"
        )
    try:
        return unwrapped(tensors)
    except UserError as error:
        raise UserError(f"{first}: {error}") from error


def _check_written(tensors: Mapping[str, Tensor]) -> None:
    """Check that no matrix and no LayerNorm scale is all zeros, as in a file whose download was interrupted."""
    for name, tensor in tensors.items():
        if is_never_zero(name) and tensor.numel() and not tensor.any():
            raise UserError(f"{name} is all zeros, as in a file that was only partly written; fetch it again")


def _check_shards(index: Path, names: Mapping[str, Collection[str]]) -> None:
    """Check that the index and the shards agree on where every tensor is."""
    listed = shard_of_names(index)
    for name, shard in listed.items():
        if name not in names[Path(shard).as_posix()]:
            raise UserError(f"{index}: {name} is not in {shard}, where it should be; fetch both again")
    for shard, present in names.items():
        for name in present:
            if name not in listed or Path(listed[name]).as_posix() != shard:
                entry = f"says that it is in {listed[name]}" if name in listed else "does not have it"
                raise UserError(f"{index}: {name} is in {shard}, but the index {entry}; fetch both again")


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
    types = safetensors_types(path)
    for name, (kind, _) in types.items():
        _check_type(name, kind, path)
    return {name: shape for name, (_, shape) in types.items()}


def _check_tensor(name: str, tensor: Tensor) -> None:
    if type(tensor) not in (Tensor, nn.Parameter):
        raise UserError(f"{name} is a {type(tensor).__name__}; save it as a plain tensor")
    if tensor.layout != torch.strided or tensor.is_nested:
        layout = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
        raise UserError(f"{name} is not a dense tensor ({layout}); save it as a dense one")
    if tensor.is_meta:
        raise UserError(f"{name} has no values (it is on the device 'meta'); save the model with its weights")
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
    reason = describe_start(path) or first_line(error)
    return UserError(f"{path}: not a readable safetensors file: {reason}; fetch it again")


_CODE = re.compile(r"GLOBAL ([\w.]+)")
#: keys under which training scripts store the tensors next to other data
_STATE_KEYS = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights"),
    *("ema", "ema_model", "ema_state_dict", "model_ema", "state_dict_ema", "averaged_model"),
)
_MAXIMUM_DEPTH = 4
_LISTED = 5


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of `torch.save` under their names in it.

    Raises:
        UserError: it is damaged, or holds more than tensors, whose code would have to run, or several models.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other protocols; what cannot be read raises an error
            data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise UserError(f"{path}: refused: {_reason(error, path)}") from error
    return _tensors(data, path)


def _reason(error: Exception, path: Path) -> str:
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript program, which loading would run; save only the state dict, best as safetensors"
    if "DTensor" in text:
        return "it holds parts of tensors that several processes share (DTensor); save the full tensors"
    if is_safetensors(path):
        return "it is a safetensors file; name it model.safetensors"
    code = _CODE.search(text) if isinstance(error, pickle.UnpicklingError) else None
    if code is None:
        return describe_start(path) or "it is damaged, or not a checkpoint of torch"
    return f"it holds code or objects ({code[1]}) that loading would run; save only the state dict, best as safetensors"


def _tensors(data: object, path: Path) -> dict[str, Tensor]:
    data = _innermost(data, path)
    if not isinstance(data, Mapping) or not data:
        raise UserError(f"{path}: refused: expected a mapping of names to tensors, not a {type(data).__name__}")
    other = [
        f"{_shown(name)} ({type(value).__name__})" for name, value in data.items() if not isinstance(value, Tensor)
    ]
    if any("_packed_params" in name for name in other):
        raise UserError(f"{path}: {other[0]}: this is a quantized model; {FULL_PRECISION}")
    if other:
        raise UserError(f"{path}: refused: it holds more than tensors: {', '.join(other[:_LISTED])}")
    return {str(name): tensor for name, tensor in data.items()}


def _shown(name: object) -> str:
    return str(name) if str(name).isprintable() else repr(name)


def _innermost(data: object, path: Path) -> object:
    """The mapping with the tensors of the model."""
    for _ in range(_MAXIMUM_DEPTH):
        if not isinstance(data, Mapping) or any(_is_matrix(value) for value in data.values()):
            return data
        keys = [name for name in _STATE_KEYS if _has_tensors(data.get(name), _MAXIMUM_DEPTH)]
        if not keys:
            return data
        if len(keys) > 1:
            raise UserError(f"{path}: refused: it holds several models ({', '.join(keys)}); save only one of them")
        data = data[keys[0]]
    return data


def _is_matrix(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() > 1


def _has_tensors(value: object, depth: int) -> bool:
    """Whether there is a tensor in a mapping or in those that it holds."""
    if not isinstance(value, Mapping) or not depth:
        return False
    return any(isinstance(item, Tensor) or _has_tensors(item, depth - 1) for item in value.values())
