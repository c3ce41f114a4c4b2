"""Models as folders: config.json, model.safetensors and, where those do not say all, bebertlab.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from bebertlab.errors import SetupError, UserError
from bebertlab.files import read_json
from bebertlab.formats import MODEL_FOLDER
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.encoder import SavedTokenizer
from bebertlab.interfaces.stage import Codec
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.checkpoint import full_precision_architecture, full_precision_checkpoint
from bebertlab.model.huggingface import MODEL_TYPE, check_config, check_layers, configuration
from bebertlab.model.quantizer_codes import check_weight_codes
from bebertlab.model.tensors import check_shapes
from bebertlab.model.weight_files import refuse_adapter
from bebertlab.model.weights import (
    FLOATS,
    check_finite,
    read_safetensors,
    read_weights,
    safetensors_types,
    weight_shapes,
)

CONFIGURATION = "config.json"
TENSORS = "model.safetensors"
SURGERY = "bebertlab.json"


def save_model(
    model: BertClassifier,
    folder: Path,
    codec: Codec,
    tokenizer: SavedTokenizer | None = None,
    *,
    classes: Sequence[str] = (),
) -> None:
    """Write a model with the names of its classes by output, if they are known, and its tokenizer.

    A full-precision model whose heads fill the hidden size is an ordinary Hugging Face folder.

    Raises:
        BrokenQuantizer: a quantizer of weights breaks its contract; nothing is written.
    """
    check_weight_codes(model)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = model.checkpoint()
    sizes = checkpoint.architecture
    ordinary = checkpoint.spec == QuantSpec() and sizes.heads * sizes.head_size == sizes.hidden
    config = configuration(sizes, classes)
    if not ordinary:
        # transformers shall refuse the folder by name instead of loading the half that it knows
        config |= {"architectures": ["BertClassifier"], "model_type": MODEL_TYPE}
        surgery = {
            "format": MODEL_FOLDER.number,
            "architecture": codec.dump(sizes),
            "design": codec.dump(checkpoint.spec),
        }
        _write_json(folder / SURGERY, surgery)
    _write_json(folder / CONFIGURATION, config)
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    save_file(tensors, folder / TENSORS, metadata={"format": "pt"})  # transformers asks for the metadata
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def load_model(folder: Path, codec: Codec) -> BertClassifier:
    """The model of `read_checkpoint`.

    Raises:
        SetupError: a file is missing, or a pointer of git-lfs.
        UserError: a file is damaged, or its tensors are not those of the model.
    """
    return BertClassifier.from_checkpoint(read_checkpoint(folder, codec))


def read_checkpoint(folder: Path, codec: Codec) -> Checkpoint:
    """Read a model that `save_model` wrote, or a BertForSequenceClassification of Hugging Face of any age.

    Raises:
        SetupError: a file is missing, or a pointer of git-lfs.
        UserError: a file is damaged, or its tensors are not those of the model.
    """
    if (folder / SURGERY).is_file():
        architecture, spec = _own_description(folder, codec)
        tensors = read_safetensors(folder / TENSORS)
        with _named(folder / TENSORS):
            check_finite(tensors)
        return Checkpoint(architecture=architecture, spec=spec, tensors=tensors)
    config = _foreign_config(folder)
    tensors = read_weights(folder)
    with _named(folder):
        return full_precision_checkpoint(tensors, config)


def describe_model(folder: Path, codec: Codec) -> tuple[Architecture, QuantSpec]:
    """The sizes and the design of a model in a folder, with tensors of the right shapes; their numbers are not read.

    Raises:
        SetupError: a file is missing, or a pointer of git-lfs.
        UserError: a file is damaged, or it is no classifier, or its tensors are not those of the model.
    """
    if (folder / SURGERY).is_file():
        return _own_description(folder, codec)
    config = _foreign_config(folder)
    shapes = weight_shapes(folder)
    with _named(folder):
        return full_precision_architecture(shapes, config), QuantSpec()


def _own_description(folder: Path, codec: Codec) -> tuple[Architecture, QuantSpec]:
    """The sizes and the design of a model that only bebertlab reads, and that the file of tensors is as they say."""
    path = folder / SURGERY
    data = read_json(path)
    MODEL_FOLDER.check(data.get("format"), path)
    if (folder / CONFIGURATION).is_file():
        kind = read_json(folder / CONFIGURATION).get("model_type")
        if kind != MODEL_TYPE:
            raise UserError(
                f"{path} does not belong to {CONFIGURATION}, which has model_type {kind!r}; remove one of them"
            )
    types = safetensors_types(folder / TENSORS)
    with _named(path):
        architecture = codec.load(data.get("architecture"), Architecture)
        spec = codec.load(data.get("design"), QuantSpec)
        check_layers(architecture.layers, types, "architecture.layers")
        wanted = meta_model(architecture, spec).state_dict()
    with _named(folder / TENSORS):
        check_shapes({name: shape for name, (_, shape) in types.items()}, wanted)
        for name, (kind, _) in types.items():
            expected = FLOATS if wanted[name].is_floating_point() else (str(wanted[name].dtype).removeprefix("torch."),)
            if kind not in expected:
                raise UserError(f"{name} is of type {kind}; expected {' or '.join(expected)}")
    return architecture, spec


def _foreign_config(folder: Path) -> dict[str, Any]:
    """The configuration of a model that transformers reads as well."""
    refuse_adapter(folder)
    config = read_json(folder / CONFIGURATION)
    if config.get("model_type") == MODEL_TYPE:
        raise SetupError(f"{folder / SURGERY}: no such file, but {CONFIGURATION} is of a model that needs it")
    with _named(folder):
        check_config(config)
    return config


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the name of a file or folder before an error, and the error into one line."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{path}: {'; '.join(str(error).splitlines())}") from error


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
