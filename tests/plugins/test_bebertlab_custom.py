"""The scheme that takes any quantizer at any site."""

from __future__ import annotations

import pytest

from bebertlab.api import LINEAR_SITES, QuantSpec, Site, UserError
from bebertlab_binarybert import Bwn, Lsq
from bebertlab_custom import CustomScheme, FullPrecision

BWN = Bwn()
LSQ = Lsq(bits=4)


def test_the_empty_scheme_is_full_precision() -> None:
    assert CustomScheme().spec() == QuantSpec()


def test_full_precision_quantizes_nothing() -> None:
    assert FullPrecision().spec() == QuantSpec()


def test_a_family_applies_to_all_its_sites_and_no_other() -> None:
    spec = CustomScheme(weights=BWN, attention=LSQ).spec()
    assert spec.weights == dict.fromkeys(LINEAR_SITES, BWN)
    assert spec.inputs == {}
    assert set(spec.attention) == {Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE}


def test_an_exception_overrides_its_family_and_null_means_full_precision() -> None:
    spec = CustomScheme(inputs=LSQ, input_sites={Site.POOLER: None, Site.FFN_DOWN: Lsq(bits=8)}).spec()
    assert Site.POOLER not in spec.inputs
    assert spec.inputs[Site.FFN_DOWN] == Lsq(bits=8)
    assert spec.inputs[Site.QUERY] == LSQ


def test_a_site_outside_the_family_is_refused_with_the_allowed_sites() -> None:
    with pytest.raises(UserError, match=r"word_embedding; allowed: query"):
        CustomScheme(input_sites={Site.WORD_EMBEDDING: LSQ})


def test_attention_may_select_keys_without_softmax() -> None:
    assert CustomScheme().spec().softmax
    assert not CustomScheme(softmax=False, probabilities=LSQ).spec().softmax
