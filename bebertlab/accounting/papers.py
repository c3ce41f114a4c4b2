"""The sizes and operations of BERT-base models that papers publish."""

from __future__ import annotations

from attrs import frozen

from bebertlab.accounting.size import site_bits
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
    FULL_PRECISION_BITS,
    LINEAR_SITES,
    WEIGHT_SITES,
    Architecture,
    QuantSpec,
    Site,
)

_BERT_BASE = ("bert-base-uncased", "google-bert/bert-base-uncased")


@frozen(kw_only=True)
class PaperFigure:
    """A row of a paper's table."""

    model: str
    bits: str  #: weights-word embedding-activations
    mebibytes: float
    gigaflops: float | None = None
    split: bool = False  #: two branches, of half the heads and neurons
    members: int = 1

    def __str__(self) -> str:
        operations = "" if self.gigaflops is None else f" and {self.gigaflops:g} GFLOPs"
        return f"{self.mebibytes:g} MiB{operations} ({self.model} {self.bits})"


_ROWS = (
    PaperFigure(model="BERT", bits="32-32-32", mebibytes=418, gigaflops=22.5),
    PaperFigure(model="TernaryBERT", bits="2-2-8", mebibytes=28.0),
    PaperFigure(model="BinaryBERT", bits="1-1-8", mebibytes=16.5, split=True),
    PaperFigure(model="BinaryBERT", bits="1-1-4", mebibytes=16.5, gigaflops=1.5, split=True),
    PaperFigure(model="BinaryBERT", bits="1-1-2", mebibytes=16.5, gigaflops=0.8, split=True),
    PaperFigure(model="BinaryBERT", bits="1-1-1", mebibytes=16.5, gigaflops=0.4, split=True),
    PaperFigure(model="BEBERT", bits="1-1-4", mebibytes=33, split=True, members=2),
    PaperFigure(model="BiT", bits="1-1-4", mebibytes=13.4, gigaflops=1.5),
    PaperFigure(model="BiT", bits="1-1-2", mebibytes=13.4, gigaflops=0.8),
    PaperFigure(model="BiBERT and BiT", bits="1-1-1", mebibytes=13.4, gigaflops=0.4),
)


def paper_figure(
    encoder: str, full: Architecture, sizes: Architecture, spec: QuantSpec, members: int
) -> PaperFigure | None:
    """The row for a model of `sizes` made from the encoder `full`; None if no paper has such a model."""
    if encoder not in _BERT_BASE or sizes.layers != full.layers:
        return None
    split = bool(spec.branches)
    if sizes.heads != (full.heads // 2 if split else full.heads):
        return None
    figure = (format_bits(spec), split, members)
    return next((row for row in _ROWS if (row.bits, row.split, row.members) == figure), None)


def format_bits(spec: QuantSpec) -> str | None:
    """Bits as papers write them, weights-word embedding-activations; None where sites differ.

    >>> format_bits(QuantSpec())
    '32-32-32'
    """
    bits = site_bits(spec)
    word_embedding = bits.weights.get(Site.WORD_EMBEDDING, FULL_PRECISION_BITS)
    linear = {bits.weights.get(site, FULL_PRECISION_BITS) for site in WEIGHT_SITES if site != Site.WORD_EMBEDDING}
    activations = {bits.inputs.get(site, FULL_PRECISION_BITS) for site in LINEAR_SITES}
    activations |= {bits.attention.get(site, FULL_PRECISION_BITS) for site in ATTENTION_SITES}
    if len(linear) > 1 or len(activations) > 1:
        return None
    return f"{linear.pop()}-{word_embedding}-{activations.pop()}"
