"""Whether a config.json is of a model that computes what BertClassifier computes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import FULL_PRECISION_BITS

FULL_PRECISION = "save the model in fp32, fp16 or bf16"  #: what helps where a quantized checkpoint is refused
MODEL_TYPE = "bebertlab"  #: of folders that only bebertlab reads
_BERT = re.compile(r"Bert(Model|LMHeadModel|For\w+)")
#: classes whose classifier is that of a whole text, and those that have none; a config.json may still name what the
#: training started from
_CLASSIFIERS = {
    "BertForSequenceClassification",
    "BertModel",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertLMHeadModel",
    "BertForNextSentencePrediction",
}
#: keys that say that the model is another function, or its weights are elsewhere; and why it is refused
_OTHERS = {
    "auto_map": "the model is made by code of its own, which is not run",
    "transformers_weights": "the weights are in a file of another name",
    "is_decoder": "it attends to earlier tokens only",
    "add_cross_attention": "it attends to another model",
    "is_encoder_decoder": "it has a decoder",
    "pruned_heads": "attention heads were taken out",
}
_QUANTIZED = ("quantization_config", "compression_config")


def check_config(config: Mapping[str, Any]) -> None:
    """Check that a model is a BERT with weights in floating point.

    Raises:
        UserError: it is not; says which key says so.
    """
    kind = config.get("model_type")
    if kind == MODEL_TYPE:
        raise UserError(
            "config.json has model_type 'bebertlab', so the folder is of a model that bebertlab wrote:"
            " a stage `load` takes it, with its bebertlab.json"
        )
    if kind not in (None, "bert"):
        raise UserError(f"config.json: model_type is {kind!r}; only 'bert' is supported")
    if other := [name for name in _classes(config) if not _BERT.fullmatch(name)]:
        raise UserError(f"config.json: architectures has {', '.join(other)}; only those of BERT are supported")
    for name in _QUANTIZED:
        if settings := config.get(name):
            raise UserError(
                f"config.json has {name} ({_method(settings)}): the weights are quantized, with scales beside them;"
                f" {FULL_PRECISION}"
            )
    for name, why in _OTHERS.items():
        if value := config.get(name):
            raise UserError(f"config.json: {name} is {value!r}: {why}; such a model is not supported")


def check_unquantized(config: Mapping[str, Any]) -> None:
    """Check that a model is not a quantized one of published code, whose config.json names bits.

    Raises:
        UserError: it is.
    """
    for name in ("weight_bits", "input_bits"):
        if (bits := config.get(name)) not in (None, FULL_PRECISION_BITS):
            raise UserError(
                f"config.json: {name} is {bits!r}, so the model is a quantized one of published code;"
                " `bebertlab model import` with the --format of that code reads it"
            )


def check_head(config: Mapping[str, Any], outputs: int) -> None:
    """Check that the classifier is one of whole texts, with as many outputs as the configuration names.

    Raises:
        UserError: it is not.
    """
    if other := [name for name in _classes(config) if name not in _CLASSIFIERS]:
        raise UserError(
            f"config.json: architectures has {', '.join(other)}, whose classifier is not one of whole texts;"
            " BertForSequenceClassification is expected"
        )
    names = config.get("id2label") if outputs == 1 else None  # those of several classes are read in nn/classes.py
    counts = {"num_labels": config.get("num_labels"), "id2label": len(names) if isinstance(names, Mapping) else 0}
    for name, count in counts.items():
        if count and count != outputs:
            raise UserError(f"config.json: {name} names {count} classes; the classifier has {outputs} outputs")


def _classes(config: Mapping[str, Any]) -> list[str]:
    found = config.get("architectures") or []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise UserError(f"config.json: architectures is {found!r}; expected a list of names")
    return found


def _method(settings: object) -> str:
    if not isinstance(settings, Mapping):
        return str(settings)
    return str(settings.get("quant_method") or settings.get("format") or "of an unnamed method")
