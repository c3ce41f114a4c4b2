"""Checkpoints of the published code of BinaryBERT (and of BEBERT, which builds on it) and of TernaryBERT."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.api import (
    INPUT_QUANTIZER,
    WEIGHT_QUANTIZER,
    WORD_EMBEDDINGS,
    Architecture,
    BertClassifier,
    Checkpoint,
    ImporterOptions,
    QuantSpec,
    SchemeOptions,
    UserError,
    check_tensors,
    classifier_architecture,
    config_number,
    modern_names,
    parse_quantized_name,
    quantizable_modules,
    quantized_bits,
)
from bebertlab_binarybert.schemes import FULL, BinaryBert, TernaryBert

_CLIP = re.compile(r".*(weight_clip_val|input_clip_val|act_clip_val|embed_clip_val|clip_(query|key|value|attn))")
_NORM_EPSILON = 1e-12  #: of every LayerNorm of the published code, whatever config.json says


@frozen(kw_only=True)
class BinaryBertImporter(ImporterOptions):
    """Reads a model of the published code of BinaryBERT, ternary or split, quantized or not.

    The two branches of a split module end in `_1` and `_2`; clips and steps are `weight_clip_val` and
    `input_clip_val` of a linear layer, `embed_clip_val` of the word embedding, and `clip_query`, `clip_key`,
    `clip_value` and `clip_attn` of the attention. Those that models of its bits do not use are left out. Tensors in
    double precision, such as the biases of a split, are converted to single precision.
    Differs: every step counts as set; the published code sets one of exactly 1 again, and so does `as_published`.
    Source: BinaryBERT, arXiv:2012.15701, and BEBERT, arXiv:2210.15976, their published code.
    """

    kind = "binarybert"
    weight_bits: int | None = (
        None  #: instead of those in config.json, which the published code copies unchanged when it splits
    )
    as_published: bool = False  #: zeros and empty groups as in the published code; false: see the quantizers

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model of a checkpoint."""
        given = modern_names(tensors)
        sizes = _architecture(given, config)
        split = [path for path in quantizable_modules(sizes) if f"{path}_1.weight" in given]
        settings = {**config, **({} if self.weight_bits is None else {"weight_bits": self.weight_bits})}
        if split and settings.get("weight_bits") == 2 and self.weight_bits is None:
            raise UserError(
                f"{split[0]} and others are split in two, but config.json says weight_bits 2: the published code copies"
                " that of the ternary model when it splits; set weight_bits to 1 for the split model"
            )
        traces = [*(f"{path}_1.weight" for path in split), *filter(_CLIP.fullmatch, given)]
        scheme = self._scheme(
            settings,
            quantized_bits(settings, traces),
            method=None if self.weight_bits else settings.get("weight_quant_method"),
        )
        return _checkpoint(
            given,
            sizes,
            _spec(scheme, sizes).with_branches(dict.fromkeys(split, 2)),
            ternarybert=False,
            unset=1.0 if self.as_published else None,
        )

    def _scheme(self, config: Mapping[str, Any], bits: tuple[int, int], method: str | None) -> BinaryBert:
        weight_bits, activation_bits = bits
        lsq = activation_bits != FULL and config.get("input_quant_method") == "lsq"
        try:
            return BinaryBert(
                weight_bits=weight_bits,
                activation_bits=activation_bits,
                weights=None if weight_bits == FULL else method,  # type: ignore[arg-type] # the scheme checks it
                activations=None if activation_bits == FULL else config.get("input_quant_method", "uniform"),
                matrix_granularity=_granularity(config, "weight_layerwise", default=True),
                embedding_granularity=_granularity(config, "embed_layerwise", default=False),
                activation_granularity=_granularity(config, "input_layerwise", default=True),
                clip=config_number(config, "clip_init_val", 2.5),
                learnable=lsq or bool(config.get("learnable_scaling", True)),
                symmetric=bool(config.get("sym_quant_qkvo", True)),
                one_sided_symmetric=bool(config.get("sym_quant_ffn_attn", False)),
                as_published=self.as_published,
            )
        except (ValueError, UserError) as error:
            raise UserError(f"config.json: {error.args[0]}") from error


@frozen(kw_only=True)
class TernaryBertImporter(ImporterOptions):
    """Reads a model of the published code of TernaryBERT.

    Its clips, `weight_clip_val`, `act_clip_val` and those of attention, are all equal to `clip_val` in config.json.
    Source: TernaryBERT, arXiv:2009.12812, its published code.
    """

    kind = "ternarybert"
    as_published: bool = False  #: empty groups give NaN, as in the published code

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model of a checkpoint."""
        given = modern_names(tensors)
        sizes = _architecture(given, config)
        weight_bits, activation_bits = quantized_bits(config, filter(_CLIP.fullmatch, given))
        if not config.get("quantize_act", True):
            activation_bits = FULL
        clip = config_number(config, "clip_val", 2.5)
        if weight_bits == activation_bits == FULL:
            return _checkpoint(given, sizes, QuantSpec(), ternarybert=True)
        try:
            scheme = TernaryBert(
                weight_bits=weight_bits,  # type: ignore[arg-type] # the scheme checks it
                activation_bits=activation_bits,  # type: ignore[arg-type] # this too
                clip=clip,
                as_published=self.as_published,
            )
        except ValueError as error:
            raise UserError(f"config.json: {error.args[0]}") from error
        for name, tensor in given.items():
            if name.endswith("weight_clip_val") and not torch.equal(tensor.abs(), torch.full_like(tensor, clip)):
                raise UserError(f"{name} is {tensor.tolist()}, but config.json has clip_val {clip} for all of them")
        return _checkpoint(given, sizes, _spec(scheme, sizes), ternarybert=True)


def _architecture(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Architecture:
    sizes = classifier_architecture(config, {name: tensor.shape for name, tensor in tensors.items()})
    return evolve(sizes, norm_epsilon=_NORM_EPSILON)


def _granularity(config: Mapping[str, Any], flag: str, *, default: bool) -> Any:  # noqa: ANN401 - a Granularity
    return "tensor" if config.get(flag, default) else "row"


def _spec(scheme: SchemeOptions, sizes: Architecture) -> QuantSpec:
    """The spec of a scheme, with the hidden activation of config.json."""
    spec = scheme.spec()
    return spec if spec.activation is None else evolve(spec, activation=sizes.activation)


def _checkpoint(
    given: Mapping[str, Tensor], sizes: Architecture, spec: QuantSpec, *, ternarybert: bool, unset: float | None = None
) -> Checkpoint:
    """`unset`: the value of a step that was never set."""
    expected = BertClassifier(sizes, spec).state_dict()
    published = {name: _published(name, spec, ternarybert) for name in expected if not name.endswith(".initialised")}
    used = {published[name]: expected[name] for name in published}
    # a step may have been stored with a dimension
    given = {
        name: _reshaped(tensor, used.get(name))
        for name, tensor in given.items()
        if name in used or not _CLIP.fullmatch(name)
    }
    try:
        check_tensors(given, used)
    except UserError as error:
        code = "TernaryBERT" if ternarybert else "BinaryBERT"
        raise UserError(f"not a checkpoint of {code}'s published code with this config.json: {error}") from error
    tensors = {
        name: given[published[name]].to(tensor.dtype, copy=True)
        if name in published
        else torch.tensor(unset is None or bool(given[published[f"{name.removesuffix('initialised')}step"]] != unset))
        for name, tensor in expected.items()
    }
    return Checkpoint(architecture=sizes, spec=spec, tensors=tensors)


def _reshaped(step: Tensor, expected: Tensor | None) -> Tensor:
    """A single number in the expected shape; other tensors unchanged."""
    single = expected is not None and step.numel() == expected.numel() == 1
    return step.reshape(expected.shape) if expected is not None and single else step


def _published(name: str, spec: QuantSpec, ternarybert: bool) -> str:
    """The published name of one of our tensors."""
    parsed = parse_quantized_name(name)
    if parsed is None:
        return name
    if parsed.branch is None:
        site = str(parsed.quantizer).removeprefix("attention_")
        return f"{parsed.module}.clip_{site.replace('probabilities', 'attn')}"
    tensor = parsed.tensor
    if parsed.quantizer == INPUT_QUANTIZER:
        tensor = "act_clip_val" if ternarybert else "input_clip_val"
    elif parsed.quantizer == WEIGHT_QUANTIZER:
        embedding = parsed.module == WORD_EMBEDDINGS and not ternarybert
        tensor = "embed_clip_val" if embedding else "weight_clip_val"
    branched = spec.branches.get(parsed.module, 1) > 1
    return f"{parsed.module}_{parsed.branch + 1}.{tensor}" if branched else f"{parsed.module}.{tensor}"
