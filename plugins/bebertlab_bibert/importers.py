"""Checkpoints of the published code of BiBERT, and of its copy in the BEBERT repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.api import (
    Architecture,
    BertClassifier,
    Checkpoint,
    ImporterOptions,
    QuantSpec,
    UserError,
    branch_counts,
    branch_prefix,
    check_tensors,
    classifier_architecture,
    layer_path,
    modern_names,
)
from bebertlab_bibert.schemes import BebertBibertScheme, BibertScheme

_QUERY = f"{layer_path(0)}.attention.self.query.weight"
#: in every checkpoint, but not used in a forward pass: scales of linear layers, gates of blocks, clips of other methods
_UNUSED = re.compile(
    r".*(\.dense|\.query|\.key|\.value)\.scale|.*\.output\.gate|.*\.(weight|act)_clip_val|.*\.clip_(query|key|value|attn)"
)


@frozen(kw_only=True)
class BibertImporter(ImporterOptions):
    """Reads a model of the published code of BiBERT.

    Its parameters `scale` and `gate` and its clips are left out, as no forward pass uses them.
    Source: BiBERT, arXiv:2203.06390, its published code.
    """

    kind = "bibert"
    as_published: bool = True  #: zeros are a third level, as in its training; false: they count as +1

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model of a checkpoint."""
        return _read(tensors, config, BibertScheme(as_published=self.as_published).spec())


@frozen(kw_only=True)
class BebertBibertImporter(ImporterOptions):
    """Reads a model of the BEBERT repository's copy of BiBERT; names and settings are those of BiBERT.

    Source: the code of BEBERT, arXiv:2210.15976 (folder BiBERT).
    """

    kind = "bebert-bibert"
    as_published: bool = True  #: zeros are a third level, as in its training; false: they count as +1

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model of a checkpoint."""
        return _read(tensors, config, BebertBibertScheme(as_published=self.as_published).spec())


def _read(tensors: Mapping[str, Tensor], config: Mapping[str, Any], spec: QuantSpec) -> Checkpoint:
    _check_bits(config, is_bibert=any(map(_UNUSED.fullmatch, tensors)))
    given = {name: tensor for name, tensor in modern_names(tensors).items() if not _UNUSED.fullmatch(name)}
    sizes = classifier_architecture(config, {name: tensor.shape for name, tensor in given.items()})
    expected, published = BertClassifier(sizes, spec).state_dict(), _published_names(sizes, spec)
    try:
        check_tensors(given, {published.get(name, name): tensor for name, tensor in expected.items()})
    except UserError as error:
        raise UserError(f"not a checkpoint of BiBERT's published code with this config.json: {error}") from error
    _check_weights(given[_QUERY])
    imported = {name: given[published.get(name, name)].to(torch.float32, copy=True) for name in expected}
    return Checkpoint(architecture=sizes, spec=spec, tensors=imported)


def _published_names(sizes: Architecture, spec: QuantSpec) -> dict[str, str]:
    """The published names of the weights and biases of quantized modules, by our names."""
    return {
        branch_prefix(path, 0, count) + tensor: f"{path}.{tensor}"
        for path, count in branch_counts(sizes, spec).items()
        for tensor in ("weight", "bias")
    }


def _check_bits(config: Mapping[str, Any], *, is_bibert: bool) -> None:
    """`is_bibert`: the names of tensors show that it is a BiBERT, whether config.json does or not."""
    expected = {"weight_bits": 1, "input_bits": 1, "quantize_act": True}
    if not is_bibert and (missing := [name for name in ("weight_bits", "input_bits") if name not in config]):
        raise UserError(
            f"config.json lacks {' and '.join(missing)}, and no tensor is one of a BiBERT (whose layers have a"
            " `scale`): this looks like a model in full precision; import it as `huggingface`"
        )
    if wrong := [f"{name} is {config[name]}" for name, value in expected.items() if config.get(name, value) != value]:
        raise UserError(f"config.json: {', '.join(wrong)}; BiBERT has weights and activations of 1 bit")


def _check_weights(weight: Tensor) -> None:
    if bool((weight.abs() == 1).all()):
        raise UserError(
            "the weights are only signs: the published code saved its quantized model, which lacks the scales;"
            " import the checkpoint that training saved"
        )
