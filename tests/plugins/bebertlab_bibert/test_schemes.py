from __future__ import annotations

import pytest

from bebertlab.accounting.size import model_size
from bebertlab.api import ATTENTION_SITES, LINEAR_SITES, WEIGHT_SITES, BertClassifier, Site
from bebertlab.model.requantize import apply_spec
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_bibert import BebertBibertScheme, Bibert, BibertScheme, Bool, Sign

SCHEMES = pytest.mark.parametrize("scheme", [BibertScheme, BebertBibertScheme])


@SCHEMES
@pytest.mark.parametrize("as_published", [False, True])
def test_everything_is_one_bit_without_softmax(
    scheme: type[BibertScheme] | type[BebertBibertScheme], as_published: bool
) -> None:
    spec = scheme(as_published=as_published).spec()
    assert dict(spec.weights) == dict.fromkeys(WEIGHT_SITES, Bibert(as_published=as_published))
    assert dict(spec.inputs) == dict.fromkeys(LINEAR_SITES, Sign(as_published=as_published))
    assert set(spec.attention) == set(ATTENTION_SITES)
    assert spec.attention[Site.ATTENTION_PROBABILITIES] == Bool()
    assert not spec.softmax
    assert spec.activation is None


def test_only_the_bebert_copy_scales_the_signs_of_q_k_and_v() -> None:
    for scheme, scaled in ((BibertScheme(), False), (BebertBibertScheme(), True)):
        for site in (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE):
            assert scheme.spec().attention[site] == Sign(strict=True, scaled=scaled)


@SCHEMES
def test_a_model_has_one_bit_per_weight(scheme: type[BibertScheme] | type[BebertBibertScheme]) -> None:
    checkpoint = apply_spec(tiny_model(tiny_task()).checkpoint(), scheme().spec())
    size = model_size(BertClassifier.from_checkpoint(checkpoint))
    weights = [tensor for name, tensor in checkpoint.tensors.items() if ".branches.0.weight" in name]
    assert size.matrix_bits == sum(tensor.numel() for tensor in weights)
