"""Hugging Face's BERT folders: their configuration and the names in them, old ones included."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture

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
#: what Hugging Face takes where a configuration leaves it out
_DEFAULTS = {
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
}
_ACTIVATIONS = {"gelu": "gelu", "relu": "relu"}


def configuration(architecture: Architecture) -> dict[str, Any]:
    """config.json of a model with these sizes, without what only bebertlab knows (head size, design)."""
    names = [f"LABEL_{index}" for index in range(architecture.classes)]
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
    """The sizes that a config.json names.

    Raises:
        UserError: it is not of a BERT, or of one that is not supported, or a size is missing.
    """
    if (kind := configuration.get("model_type", "bert")) != "bert":
        raise UserError(f"model_type is '{kind}'; only 'bert' is supported")
    if (positions := configuration.get("position_embedding_type", "absolute")) != "absolute":
        raise UserError(f"position_embedding_type is '{positions}'; only 'absolute' is supported")
    given = {**_DEFAULTS, **configuration}
    if missing := [name for name in _SIZES if name not in given]:
        raise UserError(f"config.json lacks {', '.join(missing)}")
    if given["hidden_act"] not in _ACTIVATIONS:
        raise UserError(f"hidden_act is '{given['hidden_act']}'; supported are {', '.join(_ACTIVATIONS)}")
    # published codes with narrower attention (DynaBERT's, BinaryBERT's) name its width
    width = "dyna_hidden_size" if "dyna_hidden_size" in given else "hidden_size"
    heads = given["num_attention_heads"]
    if given[width] % heads:
        raise UserError(f"{width} {given[width]} is not a multiple of num_attention_heads {heads}")
    values = {ours: given[theirs] for theirs, ours in _SIZES.items()}
    return Architecture(**values, head_size=given[width] // heads, classes=classes)


def modern_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a checkpoint of any age under today's names, without what a classifier does not have.

    gamma and beta become weight and bias, a bare encoder gets its `bert.`; position numbers and the heads
    of pre-training are left out.
    """
    return {
        new: tensor
        for old, tensor in tensors.items()
        if not (new := _modern(old)).startswith("cls.") and not new.endswith("position_ids")
    }


def _modern(name: str) -> str:
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
    return f"bert.{name}" if name.startswith(("embeddings.", "encoder.", "pooler.")) else name
