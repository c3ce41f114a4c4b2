"""Tables of the cost of a model."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from bebertlab.accounting.cost import ModelCost
from bebertlab.accounting.size import site_bits
from bebertlab.cli.options import table
from bebertlab.interfaces.architecture import FULL_PRECISION_BITS, Architecture, QuantSpec, Site
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.spec import branch_counts, quantizable_modules
from bebertlab.report.labels import amount, value_label

PARTS = {
    "word_embedding": "word embedding",
    "encoder": "encoder",
    "pooler": "pooler",
    "scales": "scales of these",
    "steps": "steps, clips, shifts",
    "biases": "biases and LayerNorms",
    "positions": "positions and segments",
    "classifier": "classifier",
}


_FIGURES = {
    "matrices": "matrices (the first three)",
    "matrices_biases": "matrices, biases, LayerNorms",
    "matrices_biases_positions": "matrices, biases, LayerNorms, positions",
    "total": "everything",
    "total_without_positions": "everything but positions and segments",
    "stored": "stored file, latent weights in 32 bits",
}
_OPERATIONS = {"linear": "linear maps", "attention": "attention products", "total": "both"}


def cost_table(cost: ModelCost, full: ModelCost, tokens: int) -> str:
    """Parts, sizes and operations of a model and of the full-precision one, and their ratios."""
    ours, theirs = cost.data(), full.data()
    sections = (
        ("PART (MiB)", "parts_mebibytes", PARTS),
        ("SIZE (MiB)", "mebibytes", _FIGURES),
        (f"GFLOPs at {tokens} tokens", "gigaflops", _OPERATIONS),
    )
    rows: list[tuple[str, ...]] = []
    for title, key, names in sections:
        rows += [("",) * 4, (title, "", "", "")] if rows else [(title, "MODEL", "FULL PRECISION", "RATIO")]
        rows += [(label, *_numbers(ours[key][name], theirs[key][name])) for name, label in names.items()]
    head, *lines = _aligned(rows)
    return table(head, lines)


def format_sizes(sizes: Architecture) -> str:
    """An architecture in one line."""
    return (
        f"{sizes.layers} layers, hidden {sizes.hidden}, {sizes.heads} heads of {sizes.head_size}, "
        f"feed-forward {sizes.ffn}, vocabulary {sizes.vocabulary}, positions {sizes.positions}, {sizes.classes} classes"
    )


def _numbers(ours: float, theirs: float) -> tuple[str, str, str]:
    return _number(ours), _number(theirs), f"{theirs / ours:.1f}" if ours and theirs else ""


def _number(value: float) -> str:
    """Two decimals, or three digits of a small number.

    >>> _number(417.647), _number(0.34), _number(0)
    ('417.65', '0.340', '0')
    """
    return amount(value) if value else "0"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Right-align the numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(row[0], *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))) for row in rows]


SITE_HEAD = ("SITE", "WEIGHT BITS", "WEIGHT QUANTIZER", "INPUT BITS", "INPUT QUANTIZER", "BRANCHES")


def site_rows(sizes: Architecture, spec: QuantSpec) -> list[tuple[str, ...]]:
    """A row for each site: bits and quantizer of its weight, the same of its input, and how many branches it has.

    An attention site only has an input. Without a quantizer a number has 32 bits.
    """
    bits = site_bits(spec)
    branches: dict[Site, set[int]] = {}
    counts = branch_counts(sizes, spec)
    for path, site in quantizable_modules(sizes).items():
        branches.setdefault(site, set()).add(max(counts[path], 1))
    inputs, input_bits = {**spec.inputs, **spec.attention}, {**bits.inputs, **bits.attention}
    return [
        (
            site.value,
            *_quantizer(spec.weights.get(site), bits.weights.get(site), exists=site in branches),
            *_quantizer(inputs.get(site), input_bits.get(site), exists=site is not Site.WORD_EMBEDDING),
            " or ".join(map(str, sorted(branches.get(site, ())))),
        )
        for site in Site
    ]


def _quantizer(options: QuantizerOptions | None, bits: int | None, *, exists: bool) -> tuple[str, str]:
    """Bits, and the kind of the quantizer with its non-default options; empty where there is nothing to quantize.

    >>> _quantizer(None, None, exists=True)
    ('32', '')
    """
    if options is None:
        return (str(FULL_PRECISION_BITS) if exists else "", "")
    options_set = {
        field.name: getattr(options, field.name)
        for field in attrs.fields(type(options))
        if getattr(options, field.name) != field.default
    }
    return str(bits), value_label({"kind": options.kind, **options_set})
