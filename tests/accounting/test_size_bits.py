from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.accounting.size import scale_count, site_bits
from bebertlab.interfaces.architecture import ATTENTION_SITES, LINEAR_SITES, QuantSpec, Site
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.registry.manager import load_plugins
from bebertlab_binarybert import BinaryBert, Bwn, Lsq, Twn, Uniform

REGISTRY = load_plugins().registry


def test_every_quantized_site_has_its_bits() -> None:
    bits = site_bits(BinaryBert(weight_bits=2, activation_bits=4).spec())
    assert bits.weights == dict.fromkeys((Site.WORD_EMBEDDING, *LINEAR_SITES), 2)
    assert bits.inputs == dict.fromkeys(LINEAR_SITES, 4)
    assert bits.attention == dict.fromkeys(ATTENTION_SITES, 4)


def test_what_is_not_quantized_has_none() -> None:
    bits = site_bits(QuantSpec(weights={Site.QUERY: Bwn()}, inputs={Site.KEY: Lsq(bits=3)}))
    assert (bits.weights, bits.inputs, bits.attention) == ({Site.QUERY: 1}, {Site.KEY: 3}, {})


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (Bwn(), 1),
        (Bwn(granularity="row"), 40),
        (Twn(granularity="row"), 40),
        (Uniform(bits=8), 1),
        (Uniform(bits=8, symmetric=False), 2),
        (Uniform(bits=8, symmetric=False, granularity="row"), 80),
    ],
)
def test_scales_by_hand(options: QuantizerOptions, count: int) -> None:
    assert scale_count(options, torch.Size([40, 7])) == count


@pytest.mark.parametrize("kind", REGISTRY.kinds("quantizer"))
@given(rows=st.integers(2, 9), columns=st.integers(2, 9))
def test_scales_are_those_of_a_real_weight(kind: str, rows: int, columns: int) -> None:
    options = REGISTRY.find("quantizer", kind)()
    assert isinstance(options, QuantizerOptions)
    shape = torch.Size([rows, columns])
    codes = options.build(shape).eval().encode(torch.randn(shape))
    offsets = 0 if codes.offset is None else codes.offset.numel()
    assert scale_count(options, shape) == codes.step.numel() + offsets
