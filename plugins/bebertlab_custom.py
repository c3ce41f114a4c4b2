"""The scheme `custom`, any quantizer at any site, configured in YAML; and `full_precision`, without quantizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from bebertlab.api import (
    ATTENTION_SITES,
    LINEAR_SITES,
    WEIGHT_SITES,
    QuantizerOptions,
    QuantSpec,
    SchemeOptions,
    Site,
    UserError,
    hookimpl,
)


@frozen(kw_only=True)
class CustomScheme(SchemeOptions):
    """Any quantizer at any site, for comparing quantizers.

    A site named in `weight_sites`, `input_sites` or `attention_sites` has the quantizer given there; every other
    site has that of its family. `null` leaves a family or a site in full precision.
    """

    kind = "custom"
    weights: QuantizerOptions | None = None  #: of every linear layer's weight
    word_embedding: QuantizerOptions | None = None  #: of the word embedding; papers use one scale per row
    inputs: QuantizerOptions | None = None  #: of every linear layer's input
    attention: QuantizerOptions | None = None  #: of Q, K and V
    probabilities: QuantizerOptions | None = None  #: of the attention probabilities
    weight_sites: Mapping[Site, QuantizerOptions | None] = field(factory=dict)  #: exceptions from weights
    input_sites: Mapping[Site, QuantizerOptions | None] = field(factory=dict)  #: exceptions from inputs
    attention_sites: Mapping[Site, QuantizerOptions | None] = field(factory=dict)  #: exceptions from attention
    activation: Literal["gelu", "relu"] | None = None  #: hidden activation; null keeps the model's
    softmax: bool = True  #: false: none over attention scores, `probabilities` selects keys by them (such as bool)

    @weight_sites.validator
    def _check_weight_sites(self, _: object, sites: Mapping[Site, object]) -> None:
        _only(sites, WEIGHT_SITES)

    @input_sites.validator
    def _check_input_sites(self, _: object, sites: Mapping[Site, object]) -> None:
        _only(sites, LINEAR_SITES)

    @attention_sites.validator
    def _check_attention_sites(self, _: object, sites: Mapping[Site, object]) -> None:
        _only(sites, ATTENTION_SITES)

    def spec(self) -> QuantSpec:
        """The quantizers of the families at all their sites, then the exceptions."""
        linear = dict.fromkeys(LINEAR_SITES, self.weights)
        qkv = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE)
        attention = dict.fromkeys(qkv, self.attention) | {Site.ATTENTION_PROBABILITIES: self.probabilities}
        return QuantSpec(
            weights=_set({Site.WORD_EMBEDDING: self.word_embedding} | linear | dict(self.weight_sites)),
            inputs=_set(dict.fromkeys(LINEAR_SITES, self.inputs) | dict(self.input_sites)),
            attention=_set(attention | dict(self.attention_sites)),
            activation=self.activation,
            softmax=self.softmax,
        )


def _only(sites: Mapping[Site, object], allowed: tuple[Site, ...]) -> None:
    """Refuse sites of another family."""
    if wrong := [site.value for site in sites if site not in allowed]:
        raise UserError(f"no such site here: {', '.join(wrong)}; allowed: {', '.join(allowed)}")


def _set(quantizers: Mapping[Site, QuantizerOptions | None]) -> dict[Site, QuantizerOptions]:
    """Only the sites that are quantized."""
    return {site: options for site, options in quantizers.items() if options is not None}


@frozen(kw_only=True)
class FullPrecision(SchemeOptions):
    """No quantization: the baseline of every low-bit scheme."""

    kind = "full_precision"

    def spec(self) -> QuantSpec:
        """The empty specification."""
        return QuantSpec()


@hookimpl
def bebertlab_schemes() -> list[type[SchemeOptions]]:
    """The schemes of this file."""
    return [CustomScheme, FullPrecision]
