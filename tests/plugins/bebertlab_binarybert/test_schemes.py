from __future__ import annotations

from typing import Any

import pytest

from bebertlab.api import ATTENTION_SITES, LINEAR_SITES, WEIGHT_SITES, Design, Site
from bebertlab_binarybert import BinaryBert, Bwn, Lsq, TernaryBert, Twn, Uniform

ONE_SIDED = {Site.ATTENTION_PROBABILITIES, Site.FFN_DOWN}


@pytest.mark.parametrize(("bits", "options"), [(1, Bwn), (2, Twn)])
def test_weights_have_one_scale_and_words_one_a_row(bits: Any, options: type[Bwn] | type[Twn]) -> None:  # noqa: ANN401
    weights = BinaryBert(weight_bits=bits).design().weights
    assert set(weights) == set(WEIGHT_SITES)
    assert weights[Site.WORD_EMBEDDING] == options(granularity="row")
    assert {weights[site] for site in LINEAR_SITES} == {options(granularity="tensor")}


@pytest.mark.parametrize(("bits", "kind", "activation"), [(8, Uniform, None), (4, Lsq, "relu")])
def test_activations_are_asymmetric_only_where_values_are_one_sided(
    bits: Any,  # noqa: ANN401
    kind: type[Uniform] | type[Lsq],
    activation: str | None,
) -> None:
    design = BinaryBert(activation_bits=bits).design()
    for sites, all_of_them in ((design.inputs, LINEAR_SITES), (design.attention, ATTENTION_SITES)):
        assert set(sites) == set(all_of_them)
        assert all(options == kind(bits=bits, symmetric=site not in ONE_SIDED) for site, options in sites.items())
    assert design.activation == activation


def test_32_bits_are_full_precision() -> None:
    assert BinaryBert(weight_bits=32, activation_bits=32).design() == Design()
    assert not BinaryBert(activation_bits=32).design().inputs
    assert not BinaryBert(weight_bits=32).design().weights


@pytest.mark.parametrize("options", [{"weight_bits": 3}, {"activation_bits": 2}])
def test_other_bits_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        BinaryBert(**options)


def test_ternarybert_learns_no_clip_and_is_symmetric_everywhere() -> None:
    design = TernaryBert().design()
    activations = {*design.inputs.values(), *design.attention.values()}
    assert activations == {Uniform(bits=8, symmetric=True, clip=2.5, learnable=False)}
    assert design.weights[Site.WORD_EMBEDDING] == Twn(granularity="row", clip=2.5)
    assert design.weights[Site.POOLER] == Twn(granularity="tensor", clip=2.5)
    assert design.activation is None
