"""Pretrained BERTs as transformers writes them: a folder, or the local cache of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bebertlab.artifacts.model import model_files
from bebertlab.data.tokenizer import TOKENIZER_FILES, VOCABULARY_FILE, has_tokenizer
from bebertlab.data.tokenizer_file import TOKENIZER_FILE
from bebertlab.errors import SetupError, first_line
from bebertlab.files import check_file, read_json
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.model.bert import meta_model
from bebertlab.model.checkpoint import random_tensor
from bebertlab.model.folder import CONFIGURATION
from bebertlab.model.huggingface import architecture_of, check_config, check_layers, check_unquantized, modern_names
from bebertlab.model.tensors import check_shapes
from bebertlab.model.weight_files import WEIGHTS, refuse_adapter, weight_files
from bebertlab.network import reach_hub

_BODY, _POOLER, _CLASSIFIER = "bert.", "bert.pooler.", "classifier."
_SHARDS = ("model-*.safetensors", "pytorch_model-*.bin")
_PATTERNS = (CONFIGURATION, *WEIGHTS, *_SHARDS, *TOKENIZER_FILES)


def pretrained_folder(name: str, *, download: bool) -> Path:
    """The folder of a model, by its path or hub id; `download`: from the hub where the local cache does not have it.

    Raises:
        SetupError: it does not exist, lacks files, has pointers of git-lfs instead, or the hub cannot be reached
            (without retries).
        UserError: its index of shards is damaged, or it is an adapter.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name, download=download)
    refuse_adapter(folder)
    if missing := _missing_file(folder):
        raise SetupError(f"encoder '{name}': {folder} has no {missing}")
    for path in model_files(folder):
        check_file(path)
    return folder


def pretrained_config(folder: Path) -> dict[str, Any]:
    """The config.json of a full-precision BERT.

    Raises:
        SetupError: there is none, or it is a pointer of git-lfs.
        UserError: it is damaged, or of a model that is not a BERT or is quantized.
    """
    config = read_json(folder / CONFIGURATION)
    check_config(config)
    check_unquantized(config)
    return config


def pretrained_architecture(config: Mapping[str, Any], shapes: Mapping[str, torch.Size], classes: int) -> Architecture:
    """The architecture of a checkpoint with a new classifier of `classes` outputs.

    `config` is that of `pretrained_config`, `shapes` those of all tensors, with or without the prefix `bert.`. The
    pooler may be missing, since some ways of pretraining need none.

    Raises:
        UserError: tensors of the encoder are missing, unexpected, or have other shapes.
    """
    sizes = architecture_of(config, classes)
    body = {name: shape for name, shape in modern_names(shapes).items() if name.startswith(_BODY)}
    check_layers(sizes.layers, body or shapes)
    pooled = any(name.startswith(_POOLER) for name in body)
    expected = {
        name: tensor
        for name, tensor in meta_model(sizes, QuantSpec()).state_dict().items()
        if name.startswith(_BODY) and (pooled or not name.startswith(_POOLER))
    }
    check_shapes(body, expected)
    return sizes


def pretrained_checkpoint(tensors: Mapping[str, Tensor], architecture: Architecture, seed: int) -> Checkpoint:
    """The tensors that a model of this architecture uses, in single precision, under current names.

    The classifier, and a pooler that is missing, are drawn with `seed`.
    """
    pretrained = modern_names(tensors)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in meta_model(architecture, QuantSpec()).state_dict().items():
        if name.startswith(_CLASSIFIER) or name not in pretrained:
            state[name] = random_tensor(name, tensor.shape, generator)
        else:
            state[name] = pretrained[name].to(torch.float32)
    return Checkpoint(architecture=architecture, spec=QuantSpec(), tensors=state)


def _missing_file(folder: Path) -> str | None:
    if not (folder / CONFIGURATION).is_file():
        return CONFIGURATION
    if not any((folder / name).is_file() for name in WEIGHTS):
        return f"{WEIGHTS[0]} (nor {', '.join(WEIGHTS[1:])})"
    if not has_tokenizer(folder):
        return f"{VOCABULARY_FILE} (nor {TOKENIZER_FILE})"
    return None


def _has_shards(folder: Path) -> bool:
    try:
        return bool(weight_files(folder))
    except SetupError:
        return False


def _from_hub(name: str, *, download: bool) -> Path:
    cached = _cached_folder(name)
    if cached is not None and _missing_file(cached) is None and (not download or _has_shards(cached)):
        return cached
    if not download:
        raise SetupError(
            f"encoder '{name}': no such folder, and not in the local hub cache; "
            "give the path of a folder, or set `download: true` to download it from the hub"
        )
    return _download(name)


def _cached_folder(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise SetupError(f"encoder '{name}': no such folder, and not a hub id") from error


def _download(name: str) -> Path:
    from huggingface_hub import constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise SetupError(f"encoder '{name}': HF_HUB_OFFLINE is set, so nothing is downloaded")
    reach_hub(f"encoder '{name}'")
    try:
        return Path(snapshot_download(name, allow_patterns=list(_PATTERNS)))
    except OSError as error:  # the base class of everything that the hub's client raises
        raise SetupError(f"encoder '{name}': the download from the hub failed: {first_line(error)}") from error
