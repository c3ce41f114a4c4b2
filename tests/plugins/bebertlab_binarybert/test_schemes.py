from __future__ import annotations

from typing import Any

import pytest

from bebertlab.api import ATTENTION_SITES, LINEAR_SITES, WEIGHT_SITES, QuantSpec, Site, UserError
from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.registry.manager import load_plugins
from bebertlab_binarybert import BinaryBert, Bwn, Laq, Lsq, TernaryBert, Twn, Uniform
from bebertlab_binarybert.schemes import ACTIVATIONS, WEIGHTS, Methods


def test_the_paper_determines_unset_options() -> None:
    assert [WEIGHTS.choose(bits, None) for bits in (1, 2, 4, 8, 32)] == ["bwn", "twn", "uniform", "uniform", None]
    assert [ACTIVATIONS.choose(bits, None) for bits in (4, 8, 32)] == ["lsq", "uniform", None]


def test_a_named_method_works_with_its_bits() -> None:
    assert WEIGHTS.choose(3, "laq") == "laq"
    assert ACTIVATIONS.choose(2, "lsq") == "lsq"


@pytest.mark.parametrize(
    ("methods", "bits", "named", "reason"),
    [
        (WEIGHTS, 3, None, r"'weight_bits' must be 1 \(bwn\), .* or 32 \(none\), .*laq 1 to 16.*: 3"),
        (ACTIVATIONS, 2, None, r"'activation_bits' must be 4 \(lsq\), 8 \(uniform\) .*: 2"),
        (ACTIVATIONS, 1, "lsq", "must be 2 to 16 for `activations: lsq`: 1"),
        (WEIGHTS, 2, "bwn", "must be 1 for `weights: bwn`: 2"),
        (WEIGHTS, 32, "twn", "must be 2 for `weights: twn`: 32"),
        (WEIGHTS, 2, "twm", "'weights' must be one of bwn, twn, laq, uniform: twm"),
    ],
)
def test_unsupported_bits_are_refused_with_the_reason(
    methods: Methods, bits: int, named: str | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        methods.choose(bits, named)


ONE_SIDED = {Site.ATTENTION_PROBABILITIES, Site.FFN_DOWN}


@pytest.mark.parametrize(("bits", "options"), [(1, Bwn), (2, Twn)])
def test_weights_have_one_scale_and_word_embeddings_one_per_row(bits: Any, options: type[Bwn] | type[Twn]) -> None:  # noqa: ANN401
    weights = BinaryBert(weight_bits=bits).spec().weights
    assert set(weights) == set(WEIGHT_SITES)
    assert weights[Site.WORD_EMBEDDING] == options(granularity="row")
    assert {weights[site] for site in LINEAR_SITES} == {options(granularity="tensor")}


@pytest.mark.parametrize(("bits", "kind", "activation"), [(8, Uniform, None), (4, Lsq, "relu")])
def test_activations_are_asymmetric_only_for_one_sided_values(
    bits: Any,  # noqa: ANN401
    kind: type[Uniform] | type[Lsq],
    activation: str | None,
) -> None:
    spec = BinaryBert(activation_bits=bits).spec()
    for sites, all_of_them in ((spec.inputs, LINEAR_SITES), (spec.attention, ATTENTION_SITES)):
        assert set(sites) == set(all_of_them)
        assert all(options == kind(bits=bits, symmetric=site not in ONE_SIDED) for site, options in sites.items())
    assert spec.activation == activation


def test_32_bits_are_full_precision() -> None:
    assert BinaryBert(weight_bits=32, activation_bits=32).spec() == QuantSpec()
    assert not BinaryBert(activation_bits=32).spec().inputs
    assert not BinaryBert(weight_bits=32).spec().weights


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"weight_bits": 1, "weights": "laq"}, Laq(bits=1)),
        ({"weight_bits": 2, "weights": "laq", "matrix_granularity": "row"}, Laq(bits=2, granularity="row")),
        ({"weight_bits": 1, "matrix_granularity": "row"}, Bwn(granularity="row")),
        ({"weight_bits": 2, "as_published": True}, Twn(as_published=True)),
        ({"weight_bits": 8, "clip": 1.5, "learnable": False}, Uniform(clip=1.5, learnable=False)),
        ({"weight_bits": 4}, Uniform(bits=4)),
        ({"weight_bits": 3, "weights": "uniform", "symmetric": False}, Uniform(bits=3, symmetric=False)),
    ],
)
def test_the_method_of_the_weights_is_an_option(options: dict[str, Any], expected: object) -> None:
    assert BinaryBert(**options).spec().weights[Site.KEY] == expected


def test_uniform_weights_are_symmetric_if_their_input_is() -> None:
    spec = BinaryBert(weight_bits=8, symmetric=False, one_sided_symmetric=True).spec()
    for site in LINEAR_SITES:
        assert spec.weights[site] == spec.inputs[site] == Uniform(symmetric=site is Site.FFN_DOWN)
    assert spec.weights[Site.WORD_EMBEDDING] == Uniform(symmetric=False, granularity="row")
    assert spec.attention[Site.ATTENTION_PROBABILITIES] == Uniform(symmetric=True)


def test_granularities_are_options() -> None:
    spec = BinaryBert(embedding_granularity="tensor", activation_granularity="row").spec()
    assert spec.weights[Site.WORD_EMBEDDING] == Bwn()
    assert spec.inputs[Site.QUERY] == Uniform(granularity="row")
    assert spec.attention[Site.ATTENTION_KEY] == Uniform(granularity="row")


def test_the_hidden_activation_can_be_set() -> None:
    assert BinaryBert(activation_bits=4, activation="gelu").spec().activation == "gelu"
    assert BinaryBert(activation_bits=2, activations="lsq").spec().activation == "relu"
    assert BinaryBert(activation_bits=4, activations="uniform").spec().activation is None
    assert TernaryBert(activation="relu").spec().activation == "relu"


@pytest.mark.parametrize(
    "options", [{"weight_bits": 3}, {"activation_bits": 2}, {"weights": "twm"}, {"clip": -1.0}, {"activation": "tanh"}]
)
def test_options_outside_the_paper_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        BinaryBert(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"activation_bits": 4, "activation_granularity": "row"}, "lsq has one step for the whole tensor"),
        ({"activation_bits": 4, "learnable": False}, "the step of lsq must learn"),
    ],
)
def test_options_that_lsq_lacks_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        BinaryBert(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"weight_bits": 3}, r"'weight_bits' must be 1 \(bwn\), .*: 3"),
        ({"weights": "twn"}, "must be 2 for `weights: twn`: 1"),
        ({"activation_bits": 1}, r"'activation_bits' must be 4 \(lsq\), .*: 1"),
        ({"weight_bits": 2.0}, "weight_bits: expected an integer"),
        ({"matrix_granularity": "column"}, "matrix_granularity: unknown value 'column'"),
        ({"activation_bits": 4, "activation_granularity": "row"}, "lsq has one step"),
    ],
)
def test_errors_in_yaml_show_the_position_and_what_is_expected(options: dict[str, Any], reason: str) -> None:
    codec = OptionsCodec(load_plugins().registry)
    with pytest.raises(UserError, match=reason):
        codec.load({"kind": "binarybert", **options}, SchemeOptions)  # type: ignore[type-abstract]


def test_ternarybert_learns_no_clip_and_is_always_symmetric() -> None:
    spec = TernaryBert().spec()
    activations = {*spec.inputs.values(), *spec.attention.values()}
    assert activations == {Uniform(bits=8, symmetric=True, clip=2.5, learnable=False)}
    assert spec.weights[Site.WORD_EMBEDDING] == Twn(granularity="row", clip=2.5)
    assert spec.weights[Site.POOLER] == Twn(granularity="tensor", clip=2.5)
    assert spec.activation is None


def test_ternarybert_of_8_bits_is_uniform_and_32_bit_activations_are_not_quantized() -> None:
    spec = TernaryBert(weight_bits=8, activation_bits=32, matrix_granularity="row").spec()
    assert spec.weights[Site.POOLER] == Uniform(granularity="row", learnable=False)
    assert not spec.inputs
    assert not spec.attention


@pytest.mark.parametrize("options", [{"weight_bits": 1}, {"activation_bits": 1}, {"clip": 0.0}])
def test_ternarybert_refuses_other_bits(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        TernaryBert(**options)
