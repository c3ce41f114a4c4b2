from __future__ import annotations

import pytest

from bebertlab.cli.design import HEAD, design_rows
from bebertlab.encoders.tiny import TinyEncoder
from bebertlab.interfaces.architecture import Architecture, Design, Site
from bebertlab_binarybert import BinaryBert, Twn


@pytest.fixture
def sizes() -> Architecture:
    return TinyEncoder().architecture(30, 2)


def test_every_site_has_a_row(sizes: Architecture) -> None:
    design = BinaryBert(activation_bits=4).design().with_branches({"bert.encoder.layer.0.attention.self.query": 2})
    rows = {row[0]: row[1:] for row in design_rows(sizes, design)}
    assert list(rows) == [site.value for site in Site]
    assert len(HEAD) == 4
    assert rows["word_embedding"] == ("1 bwn(granularity=row)", "", "1")
    assert rows["query"] == ("1 bwn", "4 lsq", "1 or 2")
    assert rows["ffn_down"] == ("1 bwn", "4 lsq(symmetric=false)", "1")
    assert rows["attention_probabilities"] == ("", "4 lsq(symmetric=false)", "")


def test_full_precision_has_32_bits(sizes: Architecture) -> None:
    rows = {row[0]: row[1:] for row in design_rows(sizes, Design(weights={Site.POOLER: Twn(threshold=0.5)}))}
    assert rows["word_embedding"] == ("32", "", "1")
    assert rows["key"] == ("32", "32", "1")
    assert rows["pooler"] == ("2 twn(threshold=0.5)", "32", "1")
    assert rows["attention_key"] == ("", "32", "")
