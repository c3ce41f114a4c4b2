"""Models as folders: config.json, model.safetensors and, where those do not say all, bebertlab.json. Never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from bebertlab.errors import EnvironmentFault, UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design
from bebertlab.interfaces.stage import Codec
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.huggingface import architecture_of, configuration

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONFIGURATION = "config.json"
TENSORS = "model.safetensors"
SURGERY = "bebertlab.json"
_FORMAT = 1


def save_model(
    model: BertClassifier,
    folder: Path,
    codec: Codec,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    classes: Sequence[str] = (),
) -> None:
    """Write a model with the names of its classes by output, if they are known, and the tokenizer beside it.

    A full-precision model whose heads fill the hidden size is an ordinary Hugging Face folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = model.checkpoint()
    sizes = checkpoint.architecture
    ordinary = checkpoint.design == Design() and sizes.heads * sizes.head_size == sizes.hidden
    config = configuration(sizes, classes)
    if not ordinary:
        # transformers shall refuse the folder by name instead of loading the half that it knows
        config |= {"architectures": ["BertClassifier"], "model_type": "bebertlab"}
        surgery = {"format": _FORMAT, "architecture": codec.dump(sizes), "design": codec.dump(checkpoint.design)}
        _write_json(folder / SURGERY, surgery)
    _write_json(folder / CONFIGURATION, config)
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    save_file(tensors, folder / TENSORS, metadata={"format": "pt"})  # transformers asks for the metadata
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def load_model(folder: Path, codec: Codec) -> BertClassifier:
    """Read a model that `save_model` or a Hugging Face BertForSequenceClassification wrote.

    Raises:
        EnvironmentFault: a file is missing.
        UserError: a file is damaged, or its tensors are not those of the model.
    """
    tensors = read_safetensors(folder / TENSORS)
    try:
        architecture, design = _described(folder, {name: tensor.shape for name, tensor in tensors.items()}, codec)
        return BertClassifier.from_checkpoint(Checkpoint(architecture=architecture, design=design, tensors=tensors))
    except UserError as error:
        raise type(error)(f"{folder}: {error}") from error


def describe_model(folder: Path, codec: Codec) -> tuple[Architecture, Design]:
    """The sizes and the design of a model in a folder; its tensors are not read.

    Raises:
        EnvironmentFault: a file is missing.
        UserError: a file is damaged, or it is no classifier.
    """
    _demand(folder / TENSORS)
    try:
        with safe_open(folder / TENSORS, framework="pt") as file:
            shapes = {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise UserError(f"{folder / TENSORS}: not a readable safetensors file: {error}") from error
    try:
        return _described(folder, shapes, codec)
    except UserError as error:
        raise type(error)(f"{folder}: {error}") from error


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a file.

    Raises:
        EnvironmentFault: it is not there.
        UserError: it is damaged.
    """
    _demand(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file: {error}") from error
    return tensors


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        EnvironmentFault: the file is not there.
        UserError: it is no JSON object.
    """
    _demand(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: a JSON object is needed, found {type(data).__name__}")
    return data


def _described(folder: Path, shapes: Mapping[str, torch.Size], codec: Codec) -> tuple[Architecture, Design]:
    if (folder / SURGERY).is_file():
        data = read_json(folder / SURGERY)
        if data.get("format") != _FORMAT:
            raise UserError(f"{SURGERY} has format {data.get('format')}; this version reads {_FORMAT}")
        return codec.load(data.get("architecture"), Architecture), codec.load(data.get("design"), Design)
    if "classifier.weight" not in shapes:
        raise UserError(f"{TENSORS} has no classifier.weight: this is no classifier")
    return architecture_of(read_json(folder / CONFIGURATION), shapes["classifier.weight"][0]), Design()


def _demand(path: Path) -> None:
    if not path.is_file():
        raise EnvironmentFault(f"{path}: no such file")


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
