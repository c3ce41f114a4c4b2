"""The size of a model whose matrices are packed, in bits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import asdict, frozen
from torch import nn

from bebertlab.interfaces.architecture import FULL_PRECISION_BITS, WEIGHT_SITES, Architecture, QuantSpec, Site
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import (
    WEIGHT_QUANTIZER,
    branch_prefix,
    is_of_classifier,
    is_position_embedding,
    parse_quantized_name,
)
from bebertlab.model.quantizer_errors import build_quantizer
from bebertlab.model.spec import branch_counts, quantizable_modules

MEBIBYTE = 2**20
_BITS_PER_MEBIBYTE = 8 * MEBIBYTE
#: shape of a weight, small, with rows and columns of different numbers
_SAMPLE = torch.Size([3, 5])


@frozen(kw_only=True)
class SiteBits:
    """Bits of an element by site; sites that are missing are in full precision."""

    weights: Mapping[Site, int]
    inputs: Mapping[Site, int]
    attention: Mapping[Site, int]


def site_bits(spec: QuantSpec) -> SiteBits:
    """The bits of every quantized site."""
    return SiteBits(
        weights={
            site: build_quantizer(options, _SAMPLE, f"weights.{site}").bits for site, options in spec.weights.items()
        },
        inputs={
            site: build_quantizer(options, _SAMPLE[1:], f"inputs.{site}").bits for site, options in spec.inputs.items()
        },
        attention={site: _attention_bits(site, options) for site, options in spec.attention.items()},
    )


def scale_count(options: QuantizerOptions, shape: torch.Size) -> int:
    """The number of steps and offsets that decode the levels of a weight (O, I).

    Counted on a weight of 3 rows and 5 columns: one per row has the shape (3, 1) there, one for the tensor ().
    """
    sample = torch.linspace(-1, 1, _SAMPLE.numel()).view(_SAMPLE)
    with torch.no_grad():
        codes = options.build(_SAMPLE).eval().encode(sample)
    scales = [codes.step] if codes.offset is None else [codes.step, codes.offset]
    sizes = dict(zip(_SAMPLE, shape, strict=True))
    return sum(torch.Size([sizes.get(size, size) for size in scale.shape]).numel() for scale in scales)


def _attention_bits(site: Site, options: QuantizerOptions) -> int:
    varies = site is Site.ATTENTION_PROBABILITIES
    return build_quantizer(options, torch.Size([]) if varies else _SAMPLE[1:], f"attention.{site}").bits


@frozen(kw_only=True)
class ModelSize:
    """Bits of a model by part; every branch counts."""

    word_embedding: int  #: elements times their bits, as in `encoder` and `pooler`
    encoder: int  #: the linear maps of the layers
    pooler: int
    scales: int  #: steps and offsets that decode the levels of these matrices
    steps: int  #: learned state of the quantizers of activations: steps, clips, shifts
    biases: int  #: biases and LayerNorms below the classifier
    positions: int  #: position and segment embeddings
    classifier: int

    @property
    def matrix_bits(self) -> int:
        """Word embedding, encoder and pooler, which quantizers make smaller."""
        return self.word_embedding + self.encoder + self.pooler

    @property
    def remainder_bits(self) -> int:
        """Everything else in full precision, without scales."""
        return self.steps + self.biases + self.positions + self.classifier

    @property
    def total_bits(self) -> int:
        """Everything that is stored."""
        return self.matrix_bits + self.scales + self.remainder_bits

    @property
    def matrix_mebibytes(self) -> float:
        """Bits of the matrices in MiB (2^20 bytes)."""
        return mebibytes(self.matrix_bits)

    @property
    def total_mebibytes(self) -> float:
        """Everything in MiB (2^20 bytes)."""
        return mebibytes(self.total_bits)

    def times(self, members: int) -> ModelSize:
        """The size of several models that share nothing."""
        return ModelSize(**{part: members * bits for part, bits in asdict(self).items()})


def mebibytes(bits: float) -> float:
    """Bits in MiB (2^20 bytes).

    >>> mebibytes(8 * 2**20)
    1.0
    """
    return bits / _BITS_PER_MEBIBYTE


def model_size(model: BertClassifier) -> ModelSize:
    """Count the bits of a model, or of the `meta_model` of one.

    The state of weight quantizers does not count, since levels and scales replace it; neither do the flags for
    initialized steps.
    """
    bits = dict.fromkeys(("steps", "biases", "positions", "classifier"), 0)
    matrices = _matrix_bits(model.architecture, model.spec)
    counted = {f"{prefix}weight" for prefix in branch_sites(model.architecture, model.spec)}
    for name, parameter in model.named_parameters():
        if name not in counted and (part := tensor_part(name)) is not None:
            bits[part] += parameter.numel() * FULL_PRECISION_BITS
    return ModelSize(**bits, **matrices)


def tensor_bytes(model: nn.Module) -> int:
    """Bytes of the tensors of a model as `save_model` stores them, without the header of the file."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def tensor_part(name: str) -> str | None:
    """The part of `ModelSize` that a tensor other than a matrix belongs to; None for the state of weight quantizers.

    >>> tensor_part("bert.pooler.dense.branches.0.input_quantizer.step"), tensor_part("bert.pooler.dense.bias")
    ('steps', 'biases')
    """
    parsed = parse_quantized_name(name)
    if parsed is not None and parsed.quantizer is not None:
        return None if parsed.quantizer == WEIGHT_QUANTIZER else "steps"
    if is_of_classifier(name):
        return "classifier"
    return "positions" if is_position_embedding(name) else "biases"


def branch_sites(architecture: Architecture, spec: QuantSpec) -> dict[str, Site]:
    """The prefix of the tensors of every branch of a quantizable module, also of an ordinary one; and its site."""
    sites = quantizable_modules(architecture)
    return {
        branch_prefix(path, branch, count): sites[path]
        for path, count in branch_counts(architecture, spec).items()
        for branch in range(max(count, 1))
    }


def weight_shape(architecture: Architecture, site: Site) -> torch.Size:
    """Shape of the weight at a site, (O, I), or (V, H) of the word embedding; of one branch."""
    hidden, attention = architecture.hidden, architecture.heads * architecture.head_size
    shapes = {
        Site.WORD_EMBEDDING: (architecture.vocabulary, hidden),
        Site.ATTENTION_OUTPUT: (hidden, attention),
        Site.FFN_UP: (architecture.ffn, hidden),
        Site.FFN_DOWN: (hidden, architecture.ffn),
        Site.POOLER: (hidden, hidden),
    }
    return torch.Size(shapes.get(site, (attention, hidden)))


def _matrix_bits(architecture: Architecture, spec: QuantSpec) -> dict[str, int]:
    weights = site_bits(spec).weights
    shapes = {site: weight_shape(architecture, site) for site in WEIGHT_SITES}
    scales = {site: scale_count(options, shapes[site]) for site, options in spec.weights.items()}
    bits = dict.fromkeys(("word_embedding", "encoder", "pooler", "scales"), 0)
    for site in branch_sites(architecture, spec).values():
        part = site.value if site in (Site.WORD_EMBEDDING, Site.POOLER) else "encoder"
        bits[part] += shapes[site].numel() * weights.get(site, FULL_PRECISION_BITS)
        bits["scales"] += scales.get(site, 0) * FULL_PRECISION_BITS
    return bits
