"""The operations of a forward pass of a model."""

from __future__ import annotations

from attrs import frozen

from bebertlab.accounting.size import SiteBits, site_bits, weight_shape
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.model.spec import branch_counts, quantizable_modules

TOKENS = 128  #: sentence length in the figures of papers

_WORD = 64  #: products of two bits that a processor computes at once
_GIGA = 1e9
_OUTSIDE = (Site.WORD_EMBEDDING, Site.POOLER)  #: not in the layers


@frozen(kw_only=True)
class Operations:
    """Floating-point operations of one forward pass over one sentence."""

    linear: float  #: in the linear maps of the layers
    attention: float  #: in the products Q K^T and P V

    @property
    def total(self) -> float:
        """Both."""
        return self.linear + self.attention

    @property
    def gigaflops(self) -> float:
        """Both, in 10^9 operations."""
        return self.total / _GIGA

    def times(self, members: int) -> Operations:
        """The operations of several models."""
        return Operations(linear=members * self.linear, attention=members * self.attention)


def model_operations(architecture: Architecture, spec: QuantSpec, tokens: int = TOKENS) -> Operations:
    """Count the operations of a model on one sentence of T tokens.

    linear = sum over the linear maps of the layers, every branch, of 2 T O I c(weight bits, input bits);
    attention = layers * 2 T^2 A D (c(Q bits, K bits) + c(P bits, V bits)), with P the attention probabilities;
    c(a, b) = min(a b / 64, 1) where both factors are quantized, else 1: a processor computes the products of 64 pairs
    of bits at once, and a product with one factor in full precision is one in full precision.
    A multiplication and an addition count as two operations. Not counted: embeddings, pooler, classifier,
    softmax, LayerNorms, hidden activation, residual and bias additions, and quantization itself with its scales.
    Source: the figures in BinaryBERT, arXiv:2012.15701, BiBERT, arXiv:2203.06390, and BiT, arXiv:2205.13016, which
    this rule reproduces: BERT-base at 128 tokens 22.4 GFLOPs, W1A8 3.3, W1A4 1.5, W1A1 0.35.
    Differs: the papers print 22.5, 3.1, 1.5 and 0.4.

    >>> base = Architecture(vocabulary=30522, positions=512, hidden=768, heads=12, head_size=64, ffn=3072, layers=12,
    ...     classes=2)
    >>> round(model_operations(base, QuantSpec()).gigaflops, 2)
    22.35

    Raises:
        UserError: the model has fewer positions than `tokens`.
    """
    if not 1 <= tokens <= architecture.positions:
        raise UserError(f"tokens must be in [1, {architecture.positions}], the positions of the model; got {tokens}")
    bits = site_bits(spec)
    return Operations(
        linear=tokens * _linear(architecture, spec, bits),
        attention=tokens**2 * _attention(architecture, bits),
    )


def usual_tokens(architecture: Architecture) -> int:
    """The sequence length at which models are compared: that of papers, or all positions of a model with fewer."""
    return min(TOKENS, architecture.positions)


def usual_operations(architecture: Architecture, spec: QuantSpec) -> float:
    """The operations of a model on a sentence of the length at which models are compared."""
    return model_operations(architecture, spec, usual_tokens(architecture)).total


def _linear(architecture: Architecture, spec: QuantSpec, bits: SiteBits) -> float:
    """Operations per token."""
    counts = branch_counts(architecture, spec)
    return sum(
        2
        * weight_shape(architecture, site).numel()
        * max(counts[path], 1)
        * _cost(bits.weights.get(site), bits.inputs.get(site))
        for path, site in quantizable_modules(architecture).items()
        if site not in _OUTSIDE
    )


def _attention(architecture: Architecture, bits: SiteBits) -> float:
    """Operations per pair of tokens."""
    scores = _cost(bits.attention.get(Site.ATTENTION_QUERY), bits.attention.get(Site.ATTENTION_KEY))
    context = _cost(bits.attention.get(Site.ATTENTION_PROBABILITIES), bits.attention.get(Site.ATTENTION_VALUE))
    return 2 * architecture.layers * architecture.heads * architecture.head_size * (scores + context)


def _cost(first: int | None, second: int | None) -> float:
    """The cost of a product by the bits of its factors; None is full precision."""
    if first is None or second is None:
        return 1.0
    return min(first * second / _WORD, 1.0)
