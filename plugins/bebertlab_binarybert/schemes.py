"""The schemes of BinaryBERT and TernaryBERT: which quantizer is at which site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import Attribute, field, frozen, validators

from bebertlab.api import (
    ATTENTION_SITES,
    GRANULARITIES,
    LINEAR_SITES,
    WEIGHT_SITES,
    Granularity,
    QuantizerOptions,
    QuantSpec,
    SchemeOptions,
    Site,
    UserError,
)
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.laq import Laq
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.twn import Twn
from bebertlab_binarybert.uniform import Uniform

FULL = 32  #: bits where nothing is quantized


@frozen(kw_only=True)
class Methods:
    """The methods for one kind of tensor, and the options of a scheme that choose among them."""

    bits_option: str  #: the field for the number of bits
    method_option: str  #: the field for the method
    usual: Mapping[int, str]  #: the paper's choice, by bits
    bits: Mapping[str, tuple[int, int]]  #: the fewest and the most bits of each method

    def choose(self, bits: int, method: str | None) -> str | None:
        """The method for a number of bits, None for full precision; `method` is the user's choice, if any.

        Raises:
            ValueError: the method does not support these bits, or none is chosen and the paper has none for them.

        >>> WEIGHTS.choose(2, None), WEIGHTS.choose(2, "laq"), WEIGHTS.choose(32, None)
        ('twn', 'laq', None)
        """
        if method is None:
            if bits != FULL and bits not in self.usual:
                usual = ", ".join(f"{number} ({name})" for number, name in self.usual.items())
                ranges = ", ".join(f"{name} {self._range(name)}" for name in self.bits)
                raise ValueError(
                    f"'{self.bits_option}' must be {usual} or 32 (none), as in the paper, unless"
                    f" `{self.method_option}` names a method ({ranges} bits): {bits}"
                )
            return self.usual.get(bits)
        if method not in self.bits:
            raise ValueError(f"'{self.method_option}' must be one of {', '.join(self.bits)}: {method}")
        fewest, most = self.bits[method]
        if not fewest <= bits <= most:
            allowed = self._range(method)
            raise ValueError(f"'{self.bits_option}' must be {allowed} for `{self.method_option}: {method}`: {bits}")
        return method

    def _range(self, method: str) -> str:
        fewest, most = self.bits[method]
        return str(fewest) if fewest == most else f"{fewest} to {most}"


WEIGHTS = Methods(
    bits_option="weight_bits",
    method_option="weights",
    usual={1: "bwn", 2: "twn", 4: "uniform", 8: "uniform"},
    bits={"bwn": (1, 1), "twn": (2, 2), "laq": (1, 16), "uniform": (2, 16)},
)
ACTIVATIONS = Methods(
    bits_option="activation_bits",
    method_option="activations",
    usual={4: "lsq", 8: "uniform"},
    bits={"uniform": (2, 16), "lsq": (2, 16)},
)


#: values there are not centred around zero: after softmax, and after the hidden activation
_ONE_SIDED = (Site.ATTENTION_PROBABILITIES, Site.FFN_DOWN)

_granularity = validators.in_(GRANULARITIES)


def _weight_bits(scheme: BinaryBert, _: Attribute[int], bits: int) -> None:
    WEIGHTS.choose(bits, scheme.weights)


def _activation_bits(scheme: BinaryBert, _: Attribute[int], bits: int) -> None:
    ACTIVATIONS.choose(bits, scheme.activations)


@frozen(kw_only=True)
class BinaryBert(SchemeOptions):
    """BinaryBERT: binary or ternary weights with 8-bit or 4-bit activations.

    Weights: one scale for a matrix, one for each row of the word embedding. Activations of 8 bits are uniform with
    learned clips; those of 4 bits have learned steps and relu as hidden activation. The attention probabilities and
    the input of the second feed-forward layer are quantized asymmetrically, everything else symmetrically; uniform
    weights are as their input.
    Source: BinaryBERT, arXiv:2012.15701, and its published scripts.
    Differs: 32 bits are full precision, of weights or of activations; with 8-bit activations the model keeps its
    hidden activation (the scripts name gelu, which is BERT's). What the code takes from its command line are options
    here; `learnable` can be off, which its flag cannot.
    """

    kind = "binarybert"
    weight_bits: int = field(default=1, validator=_weight_bits)  #: 1 bwn, 2 twn, 4 or 8 uniform, 32 none
    activation_bits: int = field(default=8, validator=_activation_bits)  #: 4 lsq with relu, 8 uniform, 32 none
    weights: Literal["bwn", "twn", "laq", "uniform"] | None = field(
        default=None, validator=validators.optional(validators.in_(tuple(WEIGHTS.bits)))
    )  #: method of the weights; null: by their bits
    activations: Literal["uniform", "lsq"] | None = field(
        default=None, validator=validators.optional(validators.in_(tuple(ACTIVATIONS.bits)))
    )  #: method of the activations; null: by their bits
    matrix_granularity: Granularity = field(
        default="tensor", validator=_granularity
    )  #: what shares a scale in the weight of a linear layer: the whole matrix, or each row (output)
    embedding_granularity: Granularity = field(
        default="row", validator=_granularity
    )  #: the same for the word embedding, where a row is a word
    activation_granularity: Granularity = field(
        default="tensor", validator=_granularity
    )  #: the same for activations, where a row is a token, or one head's matrix inside attention; lsq has no rows
    clip: float = field(default=2.5, validator=validators.gt(0))  #: uniform: the initial clips are -clip and clip
    learnable: bool = True  #: clips of uniform are trained; steps of lsq always are
    symmetric: bool = True  #: uniform and lsq: in Q, K, V, linear layers but FFN down, and the word embedding
    one_sided_symmetric: bool = False  #: the same for attention probabilities and FFN down
    activation: Literal["gelu", "relu"] | None = field(
        default=None, validator=validators.optional(validators.in_(("gelu", "relu")))
    )  #: hidden activation; null: relu with lsq, else the model's
    as_published: bool = False  #: zeros, empty groups and steps below 0 as in the published code

    def __attrs_post_init__(self) -> None:
        """Refuse options that lsq does not have."""
        if ACTIVATIONS.choose(self.activation_bits, self.activations) != "lsq":
            return
        if self.activation_granularity == "row":
            raise UserError(
                "activation_granularity: lsq has one step for the whole tensor; rows need uniform activations"
            )
        if not self.learnable:
            raise UserError("learnable: the step of lsq must learn; fixed clips need uniform activations")

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        method = ACTIVATIONS.choose(self.activation_bits, self.activations)
        return QuantSpec(
            weights=_present({site: self._weight(site) for site in WEIGHT_SITES}),
            inputs=_present({site: self._activation(method, site) for site in LINEAR_SITES}),
            attention=_present({site: self._activation(method, site) for site in ATTENTION_SITES}),
            activation=self.activation or ("relu" if method == "lsq" else None),
        )

    def _symmetric(self, site: Site) -> bool:
        return self.one_sided_symmetric if site in _ONE_SIDED else self.symmetric

    def _weight(self, site: Site) -> QuantizerOptions | None:
        bits, published = self.weight_bits, self.as_published
        rows = self.embedding_granularity if site is Site.WORD_EMBEDDING else self.matrix_granularity
        match WEIGHTS.choose(bits, self.weights):
            case "bwn":
                return Bwn(granularity=rows, as_published=published)
            case "twn":
                return Twn(granularity=rows, as_published=published)
            case "laq":
                return Laq(bits=bits, granularity=rows, as_published=published)
            case "uniform":
                return self._uniform(bits, site, rows)
        return None

    def _activation(self, method: str | None, site: Site) -> QuantizerOptions | None:
        if method == "uniform":
            return self._uniform(self.activation_bits, site, self.activation_granularity)
        if method == "lsq":
            symmetric = self._symmetric(site)
            return Lsq(bits=self.activation_bits, symmetric=symmetric, as_published=self.as_published)
        return None

    def _uniform(self, bits: int, site: Site, granularity: Granularity) -> Uniform:
        return Uniform(
            bits=bits,
            symmetric=self._symmetric(site),
            granularity=granularity,
            clip=self.clip,
            learnable=self.learnable,
            as_published=self.as_published,
        )


@frozen(kw_only=True)
class TernaryBert(SchemeOptions):
    """TernaryBERT: ternary weights and 8-bit activations, clipped at 2.5, without learned parameters.

    Weights: one scale for a matrix, one for each row of the word embedding. Every activation is symmetric.
    Source: TernaryBERT, arXiv:2009.12812, section 3.1, and its published code.
    Differs: the loss-aware ternarization of the paper is not in its code and not here.
    """

    kind = "ternarybert"
    weight_bits: Literal[2, 8] = field(default=2, validator=validators.in_((2, 8)))  #: 2 ternary, 8 uniform
    activation_bits: Literal[2, 3, 4, 5, 6, 7, 8, 32] = field(
        default=8, validator=validators.in_((2, 3, 4, 5, 6, 7, 8, 32))
    )  #: uniform, 32 none
    clip: float = field(
        default=2.5, validator=validators.gt(0)
    )  #: weights and activations are clipped at -clip and clip
    matrix_granularity: Granularity = field(
        default="tensor", validator=_granularity
    )  #: what shares a scale in the weight of a linear layer: the whole matrix, or each row (output)
    embedding_granularity: Granularity = field(
        default="row", validator=_granularity
    )  #: the same for the word embedding, where a row is a word
    activation: Literal["gelu", "relu"] | None = field(
        default=None, validator=validators.optional(validators.in_(("gelu", "relu")))
    )  #: hidden activation; null: the model's
    as_published: bool = False  #: a group of zeros gives NaN, as in the published code

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        linear = dict.fromkeys(LINEAR_SITES, self._weight(self.matrix_granularity))
        activation = None if self.activation_bits == 32 else self._uniform(self.activation_bits, "tensor")
        return QuantSpec(
            weights={Site.WORD_EMBEDDING: self._weight(self.embedding_granularity), **linear},
            inputs=_present(dict.fromkeys(LINEAR_SITES, activation)),
            attention=_present(dict.fromkeys(ATTENTION_SITES, activation)),
            activation=self.activation,
        )

    def _weight(self, granularity: Granularity) -> QuantizerOptions:
        if self.weight_bits == 2:
            return Twn(granularity=granularity, clip=self.clip, as_published=self.as_published)
        return self._uniform(self.weight_bits, granularity)

    def _uniform(self, bits: int, granularity: Granularity) -> Uniform:
        return Uniform(
            bits=bits, granularity=granularity, clip=self.clip, learnable=False, as_published=self.as_published
        )


def _present(quantizers: dict[Site, QuantizerOptions | None]) -> dict[Site, QuantizerOptions]:
    """Only the sites that are quantized."""
    return {site: options for site, options in quantizers.items() if options is not None}
