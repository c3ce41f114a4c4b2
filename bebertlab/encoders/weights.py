"""The tensors of a checkpoint, from a safetensors file, its shards, or a pickle that holds nothing but tensors."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bebertlab.encoders.hub import WEIGHTS
from bebertlab.errors import EnvironmentFault, UserError
from bebertlab.nn.folder import read_safetensors

_CODE = re.compile(r"GLOBAL ([\w.]+)")
_INSIDE = ("state_dict", "model_state_dict", "model")  #: where training scripts put the tensors beside other things
_PARALLEL = "module."  #: what several GPUs put before every name


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of the first file of weights in a folder, by the names they have there.

    Raises:
        EnvironmentFault: nothing is there.
        UserError: it is damaged, or a pickle of more than tensors, whose code would have to run.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise EnvironmentFault(f"{path}: no such file")
    return read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_folder(folder: Path) -> dict[str, Tensor]:
    found = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise EnvironmentFault(f"{folder} has no {' nor '.join(WEIGHTS)}")
    if found != WEIGHTS[1]:
        return read_weights(folder / found)
    shards = sorted(set(json.loads((folder / found).read_text(encoding="utf-8"))["weight_map"].values()))
    return {name: tensor for shard in shards for name, tensor in read_safetensors(folder / shard).items()}


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another protocol; what it cannot read is an error of its own
            data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged pickle raises is anything
        raise UserError(f"{path}: refused: {_reason(error)}") from error
    return _tensors(data, path)


def _reason(error: Exception) -> str:
    code = _CODE.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if code is None:
        return "it is damaged, or no checkpoint of torch"
    return f"it holds code or objects ({code[1]}) that loading would run; save only the state dict, best as safetensors"


def _tensors(data: object, path: Path) -> dict[str, Tensor]:
    if isinstance(data, Mapping):
        data = next((data[name] for name in _INSIDE if isinstance(data.get(name), Mapping)), data)
    if not isinstance(data, Mapping) or not data:
        raise UserError(f"{path}: refused: a mapping of names to tensors is needed, found {type(data).__name__}")
    if other := [f"{name} ({type(value).__name__})" for name, value in data.items() if not isinstance(value, Tensor)]:
        raise UserError(f"{path}: refused: not only tensors are in it: {', '.join(other[:5])}")
    inner = all(str(name).startswith(_PARALLEL) for name in data)
    return {str(name).removeprefix(_PARALLEL) if inner else str(name): tensor for name, tensor in data.items()}
