"""A model as data: its sizes, what is quantized where, and its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import evolve, field, frozen, validators
from torch import Tensor

from bebertlab.interfaces.quantizer import QuantizerOptions


class Site(StrEnum):
    """Where quantizers can be: weights (and inputs, except embeddings) at the first eight sites, else activations."""

    WORD_EMBEDDING = "word_embedding"
    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    ATTENTION_OUTPUT = "attention_output"
    FFN_UP = "ffn_up"
    FFN_DOWN = "ffn_down"
    POOLER = "pooler"
    ATTENTION_QUERY = "attention_query"
    ATTENTION_KEY = "attention_key"
    ATTENTION_VALUE = "attention_value"
    ATTENTION_PROBABILITIES = "attention_probabilities"


LINEAR_SITES = (
    Site.QUERY,
    Site.KEY,
    Site.VALUE,
    Site.ATTENTION_OUTPUT,
    Site.FFN_UP,
    Site.FFN_DOWN,
    Site.POOLER,
)
WEIGHT_SITES = (Site.WORD_EMBEDDING, *LINEAR_SITES)
ATTENTION_SITES = (
    Site.ATTENTION_QUERY,
    Site.ATTENTION_KEY,
    Site.ATTENTION_VALUE,
    Site.ATTENTION_PROBABILITIES,
)

FULL_PRECISION_BITS = 32  #: of a value that is not quantized
LARGEST_SIZE = 10**7  #: larger sizes, of damaged files, are refused before a model of them is built
_size = validators.and_(validators.instance_of(int), validators.ge(1), validators.le(LARGEST_SIZE))


@frozen(kw_only=True)
class Architecture:
    """Sizes of a BERT classifier; the width of attention, heads * head_size, is independent of `hidden`."""

    vocabulary: int = field(validator=_size)
    positions: int = field(validator=_size)
    segments: int = field(default=2, validator=_size)
    hidden: int = field(validator=_size)
    heads: int = field(validator=_size)
    head_size: int = field(validator=_size)
    ffn: int = field(validator=_size)
    layers: int = field(validator=_size)
    classes: int = field(validator=_size)  #: outputs of the classifier; 1 for regression
    activation: str = field(default="gelu", validator=validators.in_(("gelu", "relu")))
    dropout: float = 0.1  #: of hidden states, embeddings and the pooled vector
    attention_dropout: float = 0.1
    norm_epsilon: float = 1e-12


@frozen(kw_only=True)
class QuantSpec:
    """The quantizer of each site; an empty specification is a full-precision model."""

    weights: Mapping[Site, QuantizerOptions] = field(factory=dict)  #: keys: weight sites
    inputs: Mapping[Site, QuantizerOptions] = field(factory=dict)  #: of the linear layer at a site; keys: linear sites
    attention: Mapping[Site, QuantizerOptions] = field(factory=dict)  #: keys: attention sites
    activation: str | None = None  #: of the feed-forward layers, "gelu" or "relu"; None keeps the model's
    softmax: bool = True  #: False: no softmax; the quantizer of probabilities selects keys (BiBERT's Bi-Attention)
    branches: Mapping[str, int] = field(factory=dict)  #: number of summed branches by module path; 1 if absent

    def with_branches(self, branches: Mapping[str, int]) -> QuantSpec:
        """The same specification with other branch counts."""
        return evolve(self, branches=dict(branches))


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """A model without code: its sizes, specification, and tensors by parameter name (those of `BertClassifier`)."""

    architecture: Architecture
    spec: QuantSpec
    tensors: Mapping[str, Tensor]
