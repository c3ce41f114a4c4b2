"""What a design quantizes where, as a table."""

from __future__ import annotations

import attrs

from bebertlab.interfaces.architecture import FULL_PRECISION_BITS, Architecture, Design, Site
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.nn.bits import site_bits
from bebertlab.nn.design import branch_counts, quantizable_modules
from bebertlab.report.labels import value_label

HEAD = ("SITE", "WEIGHT", "INPUT", "BRANCHES")


def design_rows(sizes: Architecture, design: Design) -> list[tuple[str, str, str, str]]:
    """A row for each site: bits and quantizer of its weight and of its input; the input of an attention site is it."""
    bits = site_bits(design)
    branches: dict[Site, set[int]] = {}
    counts = branch_counts(sizes, design)
    for path, site in quantizable_modules(sizes).items():
        branches.setdefault(site, set()).add(max(counts[path], 1))
    inputs, taken = {**design.inputs, **design.attention}, {**bits.inputs, **bits.attention}
    return [
        (
            site.value,
            _quantizer(design.weights.get(site), bits.weights.get(site)) if site in branches else "",
            _quantizer(inputs.get(site), taken.get(site)) if site is not Site.WORD_EMBEDDING else "",
            " or ".join(map(str, sorted(branches.get(site, ())))),
        )
        for site in Site
    ]


def _quantizer(options: QuantizerOptions | None, bits: int | None) -> str:
    """Bits and the quantizer's kind with what is not its default.

    >>> _quantizer(None, None)
    '32'
    """
    if options is None:
        return str(FULL_PRECISION_BITS)
    set_here = {
        field.name: getattr(options, field.name)
        for field in attrs.fields(type(options))
        if getattr(options, field.name) != field.default
    }
    return f"{bits} {value_label({'kind': options.kind, **set_here})}"
