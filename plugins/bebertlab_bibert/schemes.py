"""Which quantizer sits where in BiBERT."""

from __future__ import annotations

from attrs import frozen

from bebertlab.api import LINEAR_SITES, WEIGHT_SITES, QuantSpec, SchemeOptions, Site
from bebertlab_bibert.quantizers import Bibert, Bool, Sign

_QKV = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE)


@frozen(kw_only=True)
class BibertScheme(SchemeOptions):
    """BiBERT: every weight and every activation of one bit, attention without softmax.

    Weights: the sign of the centred row times its mean size, in the word embedding as in the matrices, the pooler's
    included. Inputs of linear layers, Q, K and V: the sign. Attention: a query sums the values of the keys that its
    scores are positive for. The hidden activation stays gelu; positions, segments, norms, biases and the classifier
    stay in full precision.
    Source: BiBERT, arXiv:2203.06390, section 3, and its published code.
    Differs: zeros count as +1 and so fit one bit; with `as_published` they stay 0, a third level (then the paper's
    sizes do not hold). Its unused parameters `scale` and `gate` are left out.
    """

    kind = "bibert"
    as_published: bool = False  #: zeros as in the published code: a third level, 0

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return _design(as_published=self.as_published, scaled=False)


@frozen(kw_only=True)
class BebertBibertScheme(SchemeOptions):
    """BiBERT as the BEBERT repository changed it: the signs of Q, K and V times the mean size of the tensor.

    Everything else is as in scheme `bibert`. The mean is that of the whole batch, padding included: what the model
    answers depends on what else is in the batch.
    Source: the code of BEBERT, arXiv:2210.15976 (folder BiBERT); its paper does not name the change.
    Differs: as `bibert`; and sums are taken of the signs and multiplied afterwards, so that a score or a context of
    exactly 0 is 0. In that code rounding makes it positive or negative, another way on every machine.
    """

    kind = "bebert-bibert"
    as_published: bool = False  #: zeros as in the published code: a third level, 0

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return _design(as_published=self.as_published, scaled=True)


def _design(*, as_published: bool, scaled: bool) -> QuantSpec:
    attention = Sign(strict=True, scaled=scaled, as_published=as_published)
    return QuantSpec(
        weights=dict.fromkeys(WEIGHT_SITES, Bibert(as_published=as_published)),
        inputs=dict.fromkeys(LINEAR_SITES, Sign(as_published=as_published)),
        attention={**dict.fromkeys(_QKV, attention), Site.ATTENTION_PROBABILITIES: Bool()},
        softmax=False,
    )
