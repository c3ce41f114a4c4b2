from __future__ import annotations

import pytest
from attrs import evolve

from bebertlab.accounting.papers import PaperFigure, format_bits, paper_figure
from bebertlab.accounting.published import published_architecture
from bebertlab.interfaces.architecture import LINEAR_SITES, Architecture, QuantSpec, Site
from bebertlab.model.slice import scaled_width
from bebertlab.model.spec import quantizable_modules
from bebertlab_binarybert import BinaryBert, Bwn, Lsq, TernaryBert

NAME = "bert-base-uncased"
BASE = published_architecture(NAME, classes=2)
HALF = scaled_width(BASE, 0.5)
BINARY = BinaryBert(activation_bits=4).spec()


def split(spec: QuantSpec) -> QuantSpec:
    return spec.with_branches(dict.fromkeys(quantizable_modules(HALF), 2))


def test_bits_are_written_as_in_papers() -> None:
    assert format_bits(BINARY) == "1-1-4"
    assert format_bits(TernaryBert().spec()) == "2-2-8"
    assert format_bits(QuantSpec(weights=dict.fromkeys(LINEAR_SITES, Bwn()))) == "1-32-32"


def test_bits_that_differ_among_sites_have_no_name() -> None:
    assert format_bits(QuantSpec(weights={Site.QUERY: Bwn()})) is None
    assert format_bits(QuantSpec(inputs={Site.QUERY: Lsq()})) is None


@pytest.mark.parametrize(
    ("spec", "sizes", "members", "text"),
    [
        (QuantSpec(), BASE, 1, "418 MiB and 22.5 GFLOPs (BERT 32-32-32)"),
        (TernaryBert().spec(), BASE, 1, "28 MiB (TernaryBERT 2-2-8)"),
        (BINARY, BASE, 1, "13.4 MiB and 1.5 GFLOPs (BiT 1-1-4)"),
        (split(BINARY), HALF, 1, "16.5 MiB and 1.5 GFLOPs (BinaryBERT 1-1-4)"),
        (split(BINARY), HALF, 2, "33 MiB (BEBERT 1-1-4)"),
    ],
)
def test_rows_of_papers(spec: QuantSpec, sizes: Architecture, members: int, text: str) -> None:
    row = paper_figure(NAME, BASE, sizes, spec, members)
    assert isinstance(row, PaperFigure)
    assert str(row) == text


@pytest.mark.parametrize(
    ("encoder", "sizes", "spec", "members"),
    [
        ("bert-large-uncased", BASE, QuantSpec(), 1),
        (NAME, evolve(BASE, layers=6), QuantSpec(), 1),
        (NAME, HALF, QuantSpec(), 1),
        (NAME, HALF, BINARY, 1),
        (NAME, BASE, split(BINARY), 1),  # the model of the published code has that width, that of the paper does not
        (NAME, BASE, QuantSpec(), 2),
        (NAME, BASE, BinaryBert(weight_bits=2, activation_bits=4).spec(), 1),
    ],
)
def test_bits_and_methods_without_a_paper_have_no_row(
    encoder: str, sizes: Architecture, spec: QuantSpec, members: int
) -> None:
    assert paper_figure(encoder, BASE, sizes, spec, members) is None
