from __future__ import annotations

import pytest
from attrs import evolve

from bebertlab.accounting.published import published_architecture
from bebertlab.cli.papers import Printed, printed, spoken_bits
from bebertlab.interfaces.architecture import LINEAR_SITES, Architecture, Design, Site
from bebertlab.model.slice import narrowed
from bebertlab.model.spec import quantizable_modules
from bebertlab_binarybert import BinaryBert, Bwn, Lsq, TernaryBert

NAME = "bert-base-uncased"
BASE = published_architecture(NAME, classes=2)
HALF = narrowed(BASE, 0.5)
BINARY = BinaryBert(activation_bits=4).design()


def split(design: Design) -> Design:
    return design.with_branches(dict.fromkeys(quantizable_modules(HALF), 2))


def test_bits_are_spoken_as_in_papers() -> None:
    assert spoken_bits(BINARY) == "1-1-4"
    assert spoken_bits(TernaryBert().design()) == "2-2-8"
    assert spoken_bits(Design(weights=dict.fromkeys(LINEAR_SITES, Bwn()))) == "1-32-32"


def test_bits_that_differ_among_sites_have_no_name() -> None:
    assert spoken_bits(Design(weights={Site.QUERY: Bwn()})) is None
    assert spoken_bits(Design(inputs={Site.QUERY: Lsq()})) is None


@pytest.mark.parametrize(
    ("design", "sizes", "members", "text"),
    [
        (Design(), BASE, 1, "418 MiB and 22.5 GFLOPs (BERT 32-32-32)"),
        (TernaryBert().design(), BASE, 1, "28 MiB (TernaryBERT 2-2-8)"),
        (BINARY, BASE, 1, "13.4 MiB and 1.5 GFLOPs (BiT 1-1-4)"),
        (split(BINARY), HALF, 1, "16.5 MiB and 1.5 GFLOPs (BinaryBERT 1-1-4)"),
        (split(BINARY), HALF, 2, "33 MiB (BEBERT 1-1-4)"),
    ],
)
def test_rows_of_papers(design: Design, sizes: Architecture, members: int, text: str) -> None:
    row = printed(NAME, BASE, sizes, design, members)
    assert isinstance(row, Printed)
    assert str(row) == text


@pytest.mark.parametrize(
    ("encoder", "sizes", "design", "members"),
    [
        ("bert-large-uncased", BASE, Design(), 1),
        (NAME, evolve(BASE, layers=6), Design(), 1),
        (NAME, HALF, Design(), 1),
        (NAME, HALF, BINARY, 1),
        (NAME, BASE, split(BINARY), 1),  # the published code's own model is as wide as that, its paper's is not
        (NAME, BASE, Design(), 2),
        (NAME, BASE, BinaryBert(weight_bits=2, activation_bits=4).design(), 1),
    ],
)
def test_what_no_paper_has(encoder: str, sizes: Architecture, design: Design, members: int) -> None:
    assert printed(encoder, BASE, sizes, design, members) is None
