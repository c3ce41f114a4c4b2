"""Models in folders: config.json, model.safetensors and, where Hugging Face's BERT does not suffice, bebertlab.json."""

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
from bebertlab.model.bert import BertClassifier, MetaStates
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
DESCRIPTION = "bebertlab.json"


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
        # so that transformers refuses the folder instead of loading only the tensors that it knows
        config |= {"architectures": ["BertClassifier"], "model_type": MODEL_TYPE}
        description = {
            "format": MODEL_FOLDER.number,
            "architecture": codec.dump(sizes),
            "design": codec.dump(checkpoint.spec),
        }
        _write_json(folder / DESCRIPTION, description)
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


def read_checkpoint(folder: Path, codec: Codec, states: MetaStates | None = None) -> Checkpoint:
    """Read a model that `save_model` wrote, or a BertForSequenceClassification of any version of transformers.

    Args:
        folder: of the model
        codec: reads the options of quantizers
        states: shared by the calls for members of an ensemble, so that equal members are not described again

    Raises:
        SetupError: a file is missing, or a pointer of git-lfs.
        UserError: a file is damaged, or its tensors are not those of the model.
    """
    if (folder / DESCRIPTION).is_file():
        architecture, spec = _describe_own(folder, codec, states or MetaStates())
        tensors = read_safetensors(folder / TENSORS)
        with _errors_in(folder / TENSORS):
            check_finite(tensors)
        return Checkpoint(architecture=architecture, spec=spec, tensors=tensors)
    config = _huggingface_config(folder)
    tensors = read_weights(folder)
    with _errors_in(folder):
        return full_precision_checkpoint(tensors, config)


def describe_model(folder: Path, codec: Codec) -> tuple[Architecture, QuantSpec]:
    """The architecture and spec of a model in a folder, whose tensors have the right shapes; their values are not read.

    Raises:
        SetupError: a file is missing, or a pointer of git-lfs.
        UserError: a file is damaged, or it is not a classifier, or its tensors are not those of the model.
    """
    if (folder / DESCRIPTION).is_file():
        return _describe_own(folder, codec, MetaStates())
    config = _huggingface_config(folder)
    shapes = weight_shapes(folder)
    with _errors_in(folder):
        return full_precision_architecture(shapes, config), QuantSpec()


def _describe_own(folder: Path, codec: Codec, states: MetaStates) -> tuple[Architecture, QuantSpec]:
    """The architecture and spec of a model that only bebertlab reads; checks that its tensors fit them."""
    path = folder / DESCRIPTION
    data = read_json(path)
    MODEL_FOLDER.check(data.get("format"), path)
    if (folder / CONFIGURATION).is_file():
        model_type = read_json(folder / CONFIGURATION).get("model_type")
        if model_type != MODEL_TYPE:
            raise UserError(
                f"{path} does not belong to {CONFIGURATION}, which has model_type {model_type!r}; remove one of them"
            )
    types = safetensors_types(folder / TENSORS)
    with _errors_in(path):
        architecture = codec.load(data.get("architecture"), Architecture)
        spec = codec.load(data.get("design"), QuantSpec)
        check_layers(architecture.layers, types, "architecture.layers")
        expected = states.of(architecture, spec)
    with _errors_in(folder / TENSORS):
        check_shapes({name: shape for name, (_, shape) in types.items()}, expected)
        for name, (kind, _) in types.items():
            dtype = expected[name].dtype
            allowed = FLOATS if dtype.is_floating_point else (str(dtype).removeprefix("torch."),)
            if kind not in allowed:
                raise UserError(f"{name} is of type {kind}; expected {' or '.join(allowed)}")
    return architecture, spec


def _huggingface_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model that transformers can read too."""
    refuse_adapter(folder)
    config = read_json(folder / CONFIGURATION)
    if config.get("model_type") == MODEL_TYPE:
        raise SetupError(f"{folder / DESCRIPTION}: no such file, but {CONFIGURATION} is of a model that needs it")
    with _errors_in(folder):
        check_config(config)
    return config


@contextmanager
def _errors_in(path: Path) -> Iterator[None]:
    """Put the name of a file or folder in front of an error, all in one line."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{path}: {'; '.join(str(error).splitlines())}") from error


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
