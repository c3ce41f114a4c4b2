"""Which quantizer sits where in BinaryBERT and TernaryBERT."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from bebertlab.api import ATTENTION_SITES, LINEAR_SITES, Design, QuantizerOptions, SchemeOptions, Site
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.twn import Twn
from bebertlab_binarybert.uniform import Uniform

#: values there are not balanced around zero: after softmax, and after the hidden activation
_ONE_SIDED = (Site.ATTENTION_PROBABILITIES, Site.FFN_DOWN)


@frozen(kw_only=True)
class BinaryBert(SchemeOptions):
    """BinaryBERT: binary or ternary weights under 8-bit or 4-bit activations.

    Weights: one scale for a matrix, one for each row of the word embedding. Activations of 8 bits are uniform with
    learned clips; those of 4 bits have learned steps and relu as hidden activation. The attention probabilities and
    the input of the second feed-forward layer are quantized asymmetrically, everything else symmetrically.
    Source: BinaryBERT, arXiv:2012.15701, and its published scripts.
    Differs: 32 bits are full precision, of weights or of activations; with 8-bit activations the model keeps its
    hidden activation (the scripts name gelu, which is BERT's).
    """

    kind = "binarybert"
    weight_bits: Literal[1, 2, 32] = field(default=1, validator=validators.in_((1, 2, 32)))  #: 1 bwn, 2 twn, 32 none
    activation_bits: Literal[4, 8, 32] = field(
        default=8, validator=validators.in_((4, 8, 32))
    )  #: 4 lsq with relu, 8 uniform, 32 none

    def design(self) -> Design:
        """The same quantizers in every layer."""
        return Design(
            weights=self._weights(),
            inputs=self._activations(LINEAR_SITES),
            attention=self._activations(ATTENTION_SITES),
            activation="relu" if self.activation_bits == 4 else None,
        )

    def _weights(self) -> dict[Site, QuantizerOptions]:
        if self.weight_bits == 32:
            return {}
        kind = Bwn if self.weight_bits == 1 else Twn
        return _by_family(matrix=kind(), embedding=kind(granularity="row"))

    def _activations(self, sites: tuple[Site, ...]) -> dict[Site, QuantizerOptions]:
        if self.activation_bits == 32:
            return {}
        kind = Lsq if self.activation_bits == 4 else Uniform
        return {site: kind(bits=self.activation_bits, symmetric=site not in _ONE_SIDED) for site in sites}


@frozen(kw_only=True)
class TernaryBert(SchemeOptions):
    """TernaryBERT: ternary weights, activations of 8 bits, all of it clipped at 2.5 and nothing of it learned.

    Weights: one scale for a matrix, one for each row of the word embedding. Every activation is symmetric.
    Source: TernaryBERT, arXiv:2009.12812, section 3.1, and its published code.
    """

    kind = "ternarybert"
    clip: float = field(default=2.5, validator=validators.gt(0))  #: weights and activations are cut off here

    def design(self) -> Design:
        """The same quantizers in every layer."""
        activation = Uniform(clip=self.clip, learnable=False)
        return Design(
            weights=_by_family(matrix=Twn(clip=self.clip), embedding=Twn(granularity="row", clip=self.clip)),
            inputs=dict.fromkeys(LINEAR_SITES, activation),
            attention=dict.fromkeys(ATTENTION_SITES, activation),
        )


def _by_family(*, matrix: QuantizerOptions, embedding: QuantizerOptions) -> dict[Site, QuantizerOptions]:
    return {Site.WORD_EMBEDDING: embedding, **dict.fromkeys(LINEAR_SITES, matrix)}
