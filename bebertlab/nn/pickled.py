"""The tensors in a pickle of torch that holds nothing but tensors; no code in it is run."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.files import describe_start, is_safetensors
from bebertlab.nn.config_checks import FULL_PRECISION

_CODE = re.compile(r"GLOBAL ([\w.]+)")
#: where training scripts put the tensors beside other things
_INSIDE = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights"),
    *("ema", "ema_model", "ema_state_dict", "model_ema", "state_dict_ema", "averaged_model"),
)
_DEEPEST = 4
_LISTED = 5


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by the names they have there.

    Raises:
        UserError: it is damaged, or holds more than tensors, whose code would have to run, or several models.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another protocol; what it cannot read is an error of its own
            data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged pickle raises is anything
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
        return describe_start(path) or "it is damaged, or no checkpoint of torch"
    return f"it holds code or objects ({code[1]}) that loading would run; save only the state dict, best as safetensors"


def _tensors(data: object, path: Path) -> dict[str, Tensor]:
    data = _innermost(data, path)
    if not isinstance(data, Mapping) or not data:
        raise UserError(f"{path}: refused: a mapping of names to tensors is needed, found {type(data).__name__}")
    other = [
        f"{_shown(name)} ({type(value).__name__})" for name, value in data.items() if not isinstance(value, Tensor)
    ]
    if any("_packed_params" in name for name in other):
        raise UserError(f"{path}: {other[0]}: this is a quantized model; {FULL_PRECISION}")
    if other:
        raise UserError(f"{path}: refused: not only tensors are in it: {', '.join(other[:_LISTED])}")
    return {str(name): tensor for name, tensor in data.items()}


def _shown(name: object) -> str:
    return str(name) if str(name).isprintable() else repr(name)


def _innermost(data: object, path: Path) -> object:
    """The mapping with the tensors of the model."""
    for _ in range(_DEEPEST):
        if not isinstance(data, Mapping) or any(_is_matrix(value) for value in data.values()):
            return data
        inside = [name for name in _INSIDE if _has_tensors(data.get(name), _DEEPEST)]
        if not inside:
            return data
        if len(inside) > 1:
            raise UserError(
                f"{path}: refused: it holds several models ({', '.join(inside)}); save only the one that is meant"
            )
        data = data[inside[0]]
    return data


def _is_matrix(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() > 1


def _has_tensors(value: object, depth: int) -> bool:
    """Whether there is a tensor in a mapping or in those that it holds."""
    if not isinstance(value, Mapping) or not depth:
        return False
    return any(isinstance(one, Tensor) or _has_tensors(one, depth - 1) for one in value.values())
