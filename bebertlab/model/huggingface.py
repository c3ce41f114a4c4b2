"""Hugging Face's BERT folders: config.json and the names of tensors, those of old versions included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import FULL_PRECISION_BITS, LARGEST_SIZE, Architecture
from bebertlab.model.parameter_names import (
    CLASSIFIER_WEIGHT,
    describe_names,
    is_of_body,
    layer_path,
    layers_of,
    modern_name,
    renamed,
)

T = TypeVar("T")

_SIZES = {
    "vocab_size": "vocabulary",
    "max_position_embeddings": "positions",
    "type_vocab_size": "segments",
    "hidden_size": "hidden",
    "num_attention_heads": "heads",
    "intermediate_size": "ffn",
    "num_hidden_layers": "layers",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "layer_norm_eps": "norm_epsilon",
}
#: Hugging Face's defaults for keys that a config.json leaves out
_DEFAULTS = {
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
}
_ACTIVATIONS = {"gelu": "gelu", "relu": "relu"}
_NUMBERS = (".position_ids", ".token_type_ids")
_MATRIX = 2  #: dimensions


def configuration(architecture: Architecture, classes: Sequence[str] = ()) -> dict[str, Any]:
    """The config.json of a model with these sizes, without what only bebertlab stores (head size, spec).

    `classes` names the outputs; without names they are numbered, as by Hugging Face.

    Raises:
        UserError: there are more or fewer names than outputs.
    """
    names = [*classes] or [f"LABEL_{index}" for index in range(architecture.classes)]
    if len(names) != architecture.classes:
        raise UserError(f"the model has {architecture.classes} outputs, but {len(names)} classes are named")
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        **{theirs: getattr(architecture, ours) for theirs, ours in _SIZES.items()},
        "pad_token_id": 0,
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        **({"problem_type": "regression"} if architecture.classes == 1 else {}),
        "torch_dtype": "float32",
    }


def architecture_of(configuration: Mapping[str, Any], classes: int) -> Architecture:
    """The architecture that a config.json describes.

    Raises:
        UserError: it does not describe a supported BERT, or a size is missing or out of range.
    """
    check_config(configuration)
    if (positions := configuration.get("position_embedding_type", "absolute")) != "absolute":
        raise UserError(f"position_embedding_type is '{positions}'; only 'absolute' is supported")
    given = {**_DEFAULTS, **configuration}
    if missing := [name for name in _SIZES if name not in given]:
        raise UserError(f"config.json lacks {', '.join(missing)}")
    if str(given["hidden_act"]) not in _ACTIVATIONS:
        raise UserError(f"hidden_act is '{given['hidden_act']}'; supported are {', '.join(_ACTIVATIONS)}")
    # published code with narrower attention (DynaBERT's, BinaryBERT's) has a key for its width
    width = "dyna_hidden_size" if "dyna_hidden_size" in given else "hidden_size"
    for name in {**_SIZES, width: ""}:
        _check_size(given, name)
    heads = given["num_attention_heads"]
    if given[width] % heads:
        raise UserError(f"{width} {given[width]} is not a multiple of num_attention_heads {heads}")
    values = {ours: given[theirs] for theirs, ours in _SIZES.items()}
    return Architecture(**values, head_size=given[width] // heads, classes=classes)


def classifier_architecture(configuration: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> Architecture:
    """The architecture of a classifier of whole texts, by its config.json and the shapes of its `modern_names`.

    Raises:
        UserError: as `architecture_of`; or it is not such a classifier, or the two contradict each other.
    """
    check_config(configuration)
    if CLASSIFIER_WEIGHT not in shapes:
        raise UserError(f"no tensor is called {CLASSIFIER_WEIGHT}, so this is not a classifier: {_instead(shapes)}")
    if not all(shapes[CLASSIFIER_WEIGHT]) or len(shapes[CLASSIFIER_WEIGHT]) != _MATRIX:
        raise UserError(
            f"{CLASSIFIER_WEIGHT} is {tuple(shapes[CLASSIFIER_WEIGHT])}; expected a matrix with a row per class"
        )
    check_head(configuration, shapes[CLASSIFIER_WEIGHT][0])
    sizes = architecture_of(configuration, shapes[CLASSIFIER_WEIGHT][0])
    check_layers(sizes.layers, shapes)
    return sizes


def check_layers(count: int, names: Iterable[str], origin: str = "config.json: num_hidden_layers") -> None:
    """Check that there are tensors of `count` layers; `origin` names the source of that number.

    Raises:
        UserError: there are more or fewer, or none at all.
    """
    names = list(names)
    layers = layers_of(names)
    if not layers:
        raise UserError(f"no tensor is called {layer_path(0)}...: {describe_names(names)}")
    if len(layers) != count:
        raise UserError(f"{origin} is {count}; the weights have {len(layers)}")


def config_number(configuration: Mapping[str, Any], name: str, default: float) -> Any:  # noqa: ANN401 - int or float
    """A number that a config.json may have; an integer where the default is one.

    Raises:
        UserError: it is of another type.
    """
    value = configuration.get(name, default)
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise UserError(f"config.json: {name} is {value!r}; expected {'an integer' if whole else 'a number'}")
    if not whole and not _is_finite(value):
        raise UserError(f"config.json: {name} is not a finite number")
    return value


def quantized_bits(configuration: Mapping[str, Any], traces: Iterable[str]) -> tuple[int, int]:
    """Bits of weights and of activations in a config.json of published code; 32 where they are missing.

    `traces`: names of tensors that only a quantized model has.

    Raises:
        UserError: bits are missing though the model has such tensors, or are not integers.
    """
    names = ("weight_bits", "input_bits")
    if (missing := [name for name in names if name not in configuration]) and (trace := next(iter(traces), None)):
        raise UserError(
            f"config.json lacks {' and '.join(missing)}, but {trace} belongs to a quantized model; add the bits that"
            f" it was trained with ({FULL_PRECISION_BITS} is full precision)"
        )
    weight_bits, activation_bits = (config_number(configuration, name, FULL_PRECISION_BITS) for name in names)
    return weight_bits, activation_bits


def modern_names(tensors: Mapping[str, T]) -> dict[str, T]:
    """Tensors of a checkpoint of any version of transformers under current names, without those no classifier has.

    gamma and beta become weight and bias, a bare encoder gets its `bert.`; position and segment numbers and the heads
    of pre-training are left out.

    Raises:
        UserError: two tensors would have the same name.
    """
    names = {old: modern_name(old) for old in tensors}
    return renamed(
        tensors,
        {old: new for old, new in names.items() if not new.startswith("cls.") and not new.endswith(_NUMBERS)},
    )


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def _check_size(given: Mapping[str, Any], name: str) -> None:
    if name == "hidden_act":
        return
    if name == "layer_norm_eps":
        if not 0 < config_number(given, name, 0.0) < 1:
            raise UserError(f"config.json: {name} is {given[name]}; must be in (0, 1)")
    elif name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if not 0 <= config_number(given, name, 0.0) < 1:
            raise UserError(f"config.json: {name} is {given[name]}; must be in [0, 1)")
    elif config_number(given, name, 0) < 1:
        raise UserError(f"config.json: {name} is {given[name]}; must be at least 1")
    elif given[name] > LARGEST_SIZE:
        raise UserError(f"config.json: {name} is over {LARGEST_SIZE}, which no BERT has")


def _instead(names: Iterable[str]) -> str:
    """What the tensors belong to instead of a classifier."""
    names = list(names)
    if all(map(is_of_body, names)) and layers_of(names):
        return "it is an encoder, which the encoder 'pretrained' starts from"
    return describe_names(names)


FULL_PRECISION = "save the model in fp32, fp16 or bf16"  #: advice where a quantized checkpoint is refused
MODEL_TYPE = "bebertlab"  #: of folders that only bebertlab reads
PACKED_MODEL_TYPE = "bebertlab-bert"  #: of folders of packed models, whose latent weights are gone
_BERT = re.compile(r"Bert(Model|LMHeadModel|For\w+)")
#: classes with a classifier of whole texts, and those without one: a config.json may still name the class that the
#: training started from
_CLASSIFIERS = {
    "BertForSequenceClassification",
    "BertModel",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertLMHeadModel",
    "BertForNextSentencePrediction",
}
#: keys of models that compute another function or have their weights elsewhere, and why these are refused
_OTHERS = {
    "auto_map": "the model needs its own code, which is not run",
    "transformers_weights": "the weights are in a file with another name",
    "is_decoder": "it attends to earlier tokens only",
    "add_cross_attention": "it attends to another model",
    "is_encoder_decoder": "it has a decoder",
    "pruned_heads": "attention heads were removed",
}
_QUANTIZED = ("quantization_config", "compression_config")


def check_config(config: Mapping[str, Any]) -> None:
    """Check that a model is a BERT with weights in floating point.

    Raises:
        UserError: it is not; names the key that shows it.
    """
    kind = config.get("model_type")
    if kind == MODEL_TYPE:
        raise UserError(
            "config.json has model_type 'bebertlab', so bebertlab wrote this model; read its folder, which has a"
            " bebertlab.json, with a stage `load`"
        )
    if kind == PACKED_MODEL_TYPE:
        raise UserError(
            f"config.json has model_type '{PACKED_MODEL_TYPE}', so the folder is of a packed model, which answers but"
            " cannot be trained or packed again; name the model that it was packed from"
        )
    if kind not in (None, "bert"):
        raise UserError(f"config.json: model_type is {kind!r}; only 'bert' is supported")
    if other := [name for name in _classes(config) if not _BERT.fullmatch(name)]:
        raise UserError(f"config.json: architectures has {', '.join(other)}; only those of BERT are supported")
    for name in _QUANTIZED:
        if settings := config.get(name):
            raise UserError(
                f"config.json has {name} ({_method(settings)}): the weights are quantized, with separate scales;"
                f" {FULL_PRECISION}"
            )
    for name, why in _OTHERS.items():
        if value := config.get(name):
            raise UserError(f"config.json: {name} is {value!r}: {why}; such a model is not supported")


def check_unquantized(config: Mapping[str, Any]) -> None:
    """Check that a model is not a quantized model of published code, whose config.json has its bits.

    Raises:
        UserError: it is.
    """
    for name in ("weight_bits", "input_bits"):
        if (bits := config.get(name)) not in (None, FULL_PRECISION_BITS):
            raise UserError(
                f"config.json: {name} is {bits!r}, so this is a quantized model of published code;"
                " import it by `bebertlab model import` with the --format of that code"
            )


def check_head(config: Mapping[str, Any], outputs: int) -> None:
    """Check that the classifier is one of whole texts, with as many outputs as config.json has classes.

    Raises:
        UserError: it is not.
    """
    if other := [name for name in _classes(config) if name not in _CLASSIFIERS]:
        raise UserError(
            f"config.json: architectures has {', '.join(other)}, whose classifier is not one of whole texts;"
            " BertForSequenceClassification is expected"
        )
    names = config.get("id2label") if outputs == 1 else None  # those of several classes are read in model/classes.py
    counts = {"num_labels": config.get("num_labels"), "id2label": len(names) if isinstance(names, Mapping) else 0}
    for name, count in counts.items():
        if count and count != outputs:
            raise UserError(f"config.json: {name} names {count} classes; the classifier has {outputs} outputs")


def _classes(config: Mapping[str, Any]) -> list[str]:
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"config.json: architectures is {names!r}; expected a list of names")
    return names


def _method(settings: object) -> str:
    if not isinstance(settings, Mapping):
        return str(settings)
    return str(settings.get("quant_method") or settings.get("format") or "method not named")
