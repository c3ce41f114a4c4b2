"""Checkpoints of the published code of BiT."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.api import (
    BertClassifier,
    Checkpoint,
    ImporterOptions,
    QuantSpec,
    UserError,
    check_tensors,
    classifier_architecture,
    modern_names,
    parse_quantized_name,
    quantized_bits,
)
from bebertlab_bit.scheme import Bit

#: tensors that a checkpoint has whether a forward pass uses them or not; the shifts of Q, K and V are never used
_OPTIONAL = re.compile(
    r".*\.(move_[qkv]\.bias|move\.bias|weight_clip_val|input_clip_val|embed_clip_val|clip_(query|key|value|attn))"
)
_INPUT = {"shift": "move.bias", "scale": "input_clip_val", "initialised": "input_clip_val"}
_FULL = 32
_UNSET = 1.0  #: a scale of exactly this value is set by the next batch


@frozen(kw_only=True)
class BitImporter(ImporterOptions):
    """Reads a model of the published code of BiT, quantized or not.

    `move.bias` of a linear layer is its shift; the scales are its `input_clip_val` and, of the attention, `clip_query`,
    `clip_key`, `clip_value` and `clip_attn`. Its `move_q`, `move_k` and `move_v` are left out, as no forward pass uses
    them, and so are tensors that models of these bits do not use. A scale of exactly 1 was never set: a batch sets it,
    here too.
    Source: BiT, arXiv:2205.13016, its published code.
    """

    kind = "bit"
    as_published: bool = False  #: zeros become a third level, as in its training; false: they count as +1

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model of a checkpoint."""
        given = modern_names(tensors)
        sizes = classifier_architecture(config, {name: tensor.shape for name, tensor in given.items()})
        bits = quantized_bits(config, filter(_OPTIONAL.fullmatch, given))
        spec = evolve(self._spec(config, *bits), activation=sizes.activation)
        expected = BertClassifier(sizes, spec).state_dict()
        published = {name: _published(name) for name in expected}
        used = {published[name]: tensor for name, tensor in expected.items() if tensor.is_floating_point()}
        given = {name: tensor for name, tensor in given.items() if name in used or not _OPTIONAL.fullmatch(name)}
        # a scale may have been stored with a dimension
        given = {name: _reshaped(tensor, used.get(name)) for name, tensor in given.items()}
        try:
            check_tensors(given, used)
        except UserError as error:
            raise UserError(f"not a checkpoint of BiT's published code with this config.json: {error}") from error
        imported = {
            name: given[published[name]] != _UNSET
            if name.endswith(".initialised")
            else given[published[name]].to(torch.float32, copy=True)
            for name in expected
        }
        return Checkpoint(architecture=sizes, spec=spec, tensors=imported)

    def _spec(self, config: Mapping[str, Any], weight_bits: int, activation_bits: int) -> QuantSpec:
        """What is quantized where, by the settings of the published command line."""
        if weight_bits != _FULL and (method := config.get("weight_quant_method", "bwn")) != "bwn":
            raise UserError(f"config.json: weight_quant_method is '{method}'; only 'bwn' is supported")
        if activation_bits != _FULL and not config.get("input_layerwise", True):
            raise UserError("config.json: input_layerwise is false; activations have one scale for the whole tensor")
        try:
            scheme = Bit(
                weight_bits=weight_bits,  # type: ignore[arg-type] # the scheme checks it
                activation_bits=activation_bits,
                activations="elastic" if activation_bits == _FULL else config.get("input_quant_method", "elastic"),
                quantize_probabilities=not config.get("not_quantize_attention", False),
                matrix_granularity="tensor" if config.get("weight_layerwise", True) else "row",
                embedding_granularity="tensor" if config.get("embed_layerwise", False) else "row",
                signed=bool(config.get("sym_quant_qkvo", True)),
                one_sided_signed=bool(config.get("sym_quant_ffn_attn", False)),
                as_published=self.as_published,
            )
        except ValueError as error:
            raise UserError(f"config.json: {error.args[0]}") from error
        return scheme.spec()


def _reshaped(scale: Tensor, expected: Tensor | None) -> Tensor:
    """A single number in the expected shape; other tensors unchanged."""
    single = expected is not None and scale.numel() == expected.numel() == 1
    return scale.reshape(expected.shape) if expected is not None and single else scale


def _published(name: str) -> str:
    """The published name of one of our tensors; the scale itself shows whether it is set."""
    parsed = parse_quantized_name(name)
    if parsed is None:
        return name
    if parsed.branch is None:
        site = str(parsed.quantizer).removeprefix("attention_")
        return f"{parsed.module}.clip_{site.replace('probabilities', 'attn')}"
    return f"{parsed.module}.{parsed.tensor if parsed.quantizer is None else _INPUT[parsed.tensor]}"
