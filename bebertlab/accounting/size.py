"""What a model takes when its matrices are packed."""

from __future__ import annotations

import torch
from attrs import asdict, frozen
from torch import nn

from bebertlab.accounting.bits import scale_count, site_bits
from bebertlab.interfaces.architecture import FULL_PRECISION_BITS, WEIGHT_SITES, Architecture, QuantSpec, Site
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import (
    WEIGHT_QUANTIZER,
    branch_prefix,
    is_of_classifier,
    is_position_embedding,
    parse_quantized_name,
)
from bebertlab.model.spec import branch_counts, quantizable_modules

MEBIBYTE = 2**20
_BITS_A_MEBIBYTE = 8 * MEBIBYTE


@frozen(kw_only=True)
class ModelSize:
    """Bits of a model by part, every branch counted."""

    word_embedding: int  #: elements times their bits, as in `encoder` and `pooler`
    encoder: int  #: the linear maps of the layers
    pooler: int
    scales: int  #: steps and offsets that turn the levels of these matrices into numbers
    steps: int  #: what the quantizers of activations have learned: steps, clips, shifts
    biases: int  #: biases and LayerNorms below the classifier
    positions: int  #: position and segment embeddings
    classifier: int

    @property
    def matrix_bits(self) -> int:
        """Word embedding, encoder and pooler: what quantizers make smaller."""
        return self.word_embedding + self.encoder + self.pooler

    @property
    def remainder_bits(self) -> int:
        """All else in full precision, scales apart."""
        return self.steps + self.biases + self.positions + self.classifier

    @property
    def total_bits(self) -> int:
        """Everything that must be stored."""
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
        """The size of so many models that share nothing."""
        return ModelSize(**{part: members * bits for part, bits in asdict(self).items()})


def mebibytes(bits: float) -> float:
    """Bits in MiB (2^20 bytes).

    >>> mebibytes(8 * 2**20)
    1.0
    """
    return bits / _BITS_A_MEBIBYTE


def model_size(model: BertClassifier) -> ModelSize:
    """Count the bits of a model, or of the `meta_model` of one.

    What quantizers of weights learn does not count: levels and scales say it all. Neither do the flags that say
    whether a step is set.
    """
    bits = dict.fromkeys(("steps", "biases", "positions", "classifier"), 0)
    matrices = _matrix_bits(model.architecture, model.spec)
    counted = {f"{prefix}weight" for prefix in _branch_sites(model.architecture, model.spec)}
    for name, parameter in model.named_parameters():
        if name not in counted and (part := _part(name)) is not None:
            bits[part] += parameter.numel() * FULL_PRECISION_BITS
    return ModelSize(**bits, **matrices)


def tensor_bytes(model: nn.Module) -> int:
    """Bytes of the tensors of a model as `save_model` stores them, without the header of the file."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


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
    for site in _branch_sites(architecture, spec).values():
        part = site.value if site in (Site.WORD_EMBEDDING, Site.POOLER) else "encoder"
        bits[part] += shapes[site].numel() * weights.get(site, FULL_PRECISION_BITS)
        bits["scales"] += scales.get(site, 0) * FULL_PRECISION_BITS
    return bits


def _branch_sites(architecture: Architecture, spec: QuantSpec) -> dict[str, Site]:
    """Where the tensors of every branch are, and the site of it."""
    sites = quantizable_modules(architecture)
    return {
        branch_prefix(path, branch, count): sites[path]
        for path, count in branch_counts(architecture, spec).items()
        for branch in range(max(count, 1))
    }


def _part(name: str) -> str | None:
    """The part that a tensor other than a matrix belongs to; None for the state of weight quantizers."""
    parsed = parse_quantized_name(name)
    if parsed is not None and parsed.quantizer is not None:
        return None if parsed.quantizer == WEIGHT_QUANTIZER else "steps"
    if is_of_classifier(name):
        return "classifier"
    return "positions" if is_position_embedding(name) else "biases"
