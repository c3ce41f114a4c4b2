"""How many bits a design gives to each site, and how many scales go with them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import frozen

from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.quantizer_errors import build_quantizer

#: a weight as small as it can be and still tell which of its dimensions a scale follows
_SAMPLE = torch.Size([3, 5])


@frozen(kw_only=True)
class SiteBits:
    """Bits of a value by site; a site that is not in it is in full precision."""

    weights: Mapping[Site, int]
    inputs: Mapping[Site, int]
    attention: Mapping[Site, int]


def site_bits(spec: QuantSpec) -> SiteBits:
    """The bits of every quantized site."""
    return SiteBits(
        weights={
            site: build_quantizer(options, _SAMPLE, f"weights.{site}").bits for site, options in spec.weights.items()
        },
        inputs={
            site: build_quantizer(options, _SAMPLE[1:], f"inputs.{site}").bits for site, options in spec.inputs.items()
        },
        attention={site: _attention_bits(site, options) for site, options in spec.attention.items()},
    )


def scale_count(options: QuantizerOptions, shape: torch.Size) -> int:
    """Steps and offsets that turn the levels of a weight of a shape (O, I) into numbers.

    Counted on a weight of 3 rows and 5 columns: one a row has the shape (3, 1) there, one for the tensor ().
    """
    sample = torch.linspace(-1, 1, _SAMPLE.numel()).view(_SAMPLE)
    with torch.no_grad():
        codes = options.build(_SAMPLE).eval().encode(sample)
    found = [codes.step] if codes.offset is None else [codes.step, codes.offset]
    real = dict(zip(_SAMPLE, shape, strict=True))
    return sum(torch.Size([real.get(size, size) for size in tensor.shape]).numel() for tensor in found)


def _attention_bits(site: Site, options: QuantizerOptions) -> int:
    varies = site is Site.ATTENTION_PROBABILITIES
    return build_quantizer(options, torch.Size([]) if varies else _SAMPLE[1:], f"attention.{site}").bits
