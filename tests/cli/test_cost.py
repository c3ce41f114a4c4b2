from __future__ import annotations

import pytest

from bebertlab.accounting.cost import model_cost
from bebertlab.accounting.published import published_architecture
from bebertlab.cli.cost import SITE_HEAD, cost_table, format_sizes, site_rows
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab_binarybert import BinaryBert, Twn
from bebertlab_encoders.tiny import TinyEncoder

BASE = published_architecture("bert-base-uncased", classes=2)
SPEC = BinaryBert(activation_bits=4).spec()


def rows(text: str) -> dict[str, list[str]]:
    """Numbers by quantity."""
    lines = [line for line in text.splitlines() if line]
    return {line[:40].strip(): line[40:].split() for line in lines}


def test_a_table_compares_the_model_with_full_precision() -> None:
    text = cost_table(model_cost(BASE, SPEC, 64), model_cost(BASE, QuantSpec(), 64), 64)
    actual = rows(text)
    assert actual["PART (MiB)"] == ["MODEL", "FULL", "PRECISION", "RATIO"]
    assert actual["encoder"] == ["10.12", "324.00", "32.0"]
    assert actual["positions and segments"] == ["1.51", "1.51", "1.0"]
    assert actual["matrices (the first three)"] == ["12.99", "415.67", "32.0"]
    assert actual["scales of these"][1:] == ["0"]  # without a comparison
    assert actual["GFLOPs at 64 tokens"] == []
    assert actual["linear maps"] == ["0.679", "10.87", "16.0"]
    columns = {line.rindex(".") for line in text.splitlines() if line.startswith(("encoder", "pooler", "both"))}
    assert len(columns) == 1  # numbers are aligned


def test_sizes_in_a_line() -> None:
    assert format_sizes(BASE) == (
        "12 layers, hidden 768, 12 heads of 64, feed-forward 3072, vocabulary 30522, positions 512, 2 classes"
    )


@pytest.fixture
def sizes() -> Architecture:
    return TinyEncoder().architecture(30, 2)


def test_every_site_has_a_row(sizes: Architecture) -> None:
    spec = BinaryBert(activation_bits=4).spec().with_branches({"bert.encoder.layer.0.attention.self.query": 2})
    rows = {row[0]: row[1:] for row in site_rows(sizes, spec)}
    assert list(rows) == [site.value for site in Site]
    assert {len(SITE_HEAD)} == {1 + len(row) for row in rows.values()}
    assert rows["word_embedding"] == ("1", "bwn(granularity=row)", "", "", "1")
    assert rows["query"] == ("1", "bwn", "4", "lsq", "1 or 2")
    assert rows["ffn_down"] == ("1", "bwn", "4", "lsq(symmetric=false)", "1")
    assert rows["attention_probabilities"] == ("", "", "4", "lsq(symmetric=false)", "")


def test_full_precision_has_32_bits(sizes: Architecture) -> None:
    rows = {row[0]: row[1:] for row in site_rows(sizes, QuantSpec(weights={Site.POOLER: Twn(threshold=0.5)}))}
    assert rows["word_embedding"] == ("32", "", "", "", "1")
    assert rows["key"] == ("32", "", "32", "", "1")
    assert rows["pooler"] == ("2", "twn(threshold=0.5)", "32", "", "1")
    assert rows["attention_key"] == ("", "", "32", "", "")
