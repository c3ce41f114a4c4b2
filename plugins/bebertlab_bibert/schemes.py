"""The schemes of BiBERT: which quantizer is at which site."""

from __future__ import annotations

from attrs import frozen

from bebertlab.api import LINEAR_SITES, WEIGHT_SITES, QuantSpec, SchemeOptions, Site
from bebertlab_bibert.quantizers import Bibert, Bool, Sign

_QKV = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE)


@frozen(kw_only=True)
class BibertScheme(SchemeOptions):
    """BiBERT: one bit for every weight and activation, attention without softmax.

    Weights: the sign of the centred row times its mean magnitude, in the word embedding and all linear layers, pooler
    included. Inputs of linear layers, Q, K and V: the sign. Attention: each query sums the values of the keys for which
    its score is positive. The hidden activation stays gelu; positions, segments, norms, biases and the classifier stay
    in full precision.
    Source: BiBERT, arXiv:2203.06390, section 3, and its published code.
    Differs: zeros count as +1 and so fit one bit; with `as_published` they stay 0, a third level (the sizes in
    the paper are then too small). Its unused parameters `scale` and `gate` are left out.
    """

    kind = "bibert"
    as_published: bool = False  #: zeros as in the published code: a third level, 0

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return _spec(as_published=self.as_published, scaled=False)


@frozen(kw_only=True)
class BebertBibertScheme(SchemeOptions):
    """BiBERT as in the BEBERT repository: the signs of Q, K and V times the mean magnitude of the tensor.

    Everything else is as in scheme `bibert`. The mean is that of the whole batch, padding included: predictions
    depend on what else is in the batch.
    Source: the code of BEBERT, arXiv:2210.15976 (folder BiBERT); its paper does not mention the change.
    Differs: as `bibert`; and signs are summed first and multiplied afterwards, so that a score or a context of exactly
    0 is 0. In that code rounding makes it positive or negative, differently on every machine.
    """

    kind = "bebert-bibert"
    as_published: bool = False  #: zeros as in the published code: a third level, 0

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return _spec(as_published=self.as_published, scaled=True)


def _spec(*, as_published: bool, scaled: bool) -> QuantSpec:
    attention = Sign(strict=True, scaled=scaled, as_published=as_published)
    return QuantSpec(
        weights=dict.fromkeys(WEIGHT_SITES, Bibert(as_published=as_published)),
        inputs=dict.fromkeys(LINEAR_SITES, Sign(as_published=as_published)),
        attention={**dict.fromkeys(_QKV, attention), Site.ATTENTION_PROBABILITIES: Bool()},
        softmax=False,
    )
