from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from bebertlab.interfaces.architecture import LINEAR_SITES, Architecture, Checkpoint, Design, Site
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.design import quantizable_modules
from bebertlab.nn.size import model_size
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.twn import Twn

#: BERT-base with fewer layers and words: small enough for a test, its terms the same
SHORT = Architecture(vocabulary=10, positions=512, hidden=768, heads=12, head_size=64, ffn=3072, layers=1, classes=2)
FULL = Architecture(vocabulary=30522, positions=512, hidden=768, heads=12, head_size=64, ffn=3072, layers=12, classes=2)
MIB = 2**20 * 8


def test_full_precision_counts_every_parameter(checkpoint: Checkpoint) -> None:
    model = BertClassifier.from_checkpoint(checkpoint)
    size = model_size(model)
    assert size.total_bits == 32 * sum(tensor.numel() for tensor in checkpoint.tensors.values())
    assert size.scale_bits == 0


def test_a_small_model_by_hand(sizes: Architecture) -> None:
    """One layer, hidden 16, attention 12, feed-forward 24, 30 words, 12 positions, 2 segments, 3 classes."""
    design = Design(
        weights={Site.WORD_EMBEDDING: Twn(granularity="row"), **dict.fromkeys(LINEAR_SITES, Bwn())},
        inputs=dict.fromkeys(LINEAR_SITES, Lsq()),
        branches={"bert.pooler.dense": 2},
    )
    size = model_size(BertClassifier(evolve(sizes, layers=1), design))
    linears = 3 * 16 * 12 + 12 * 16 + 16 * 24 + 24 * 16 + 2 * 16 * 16
    assert size.matrix_bits == 2 * 30 * 16 + linears
    assert size.scale_bits == 32 * (30 + 6 + 2)
    biases, norms, tables = 3 * 12 + 16 + 24 + 16 + 2 * 16, 3 * 2 * 16, (12 + 2) * 16
    classifier, steps = 3 * 16 + 3, 6 + 2
    assert size.remainder_bits == 32 * (biases + norms + tables + classifier + steps)
    assert size.total_bits == size.matrix_bits + size.scale_bits + size.remainder_bits


def grown(design: dict[str, Any], narrow: bool = False) -> tuple[float, float]:
    """Mebibytes of matrices and of everything for BERT-base, from a short model and what a layer and a word add."""

    def measured(layers: int, vocabulary: int) -> tuple[int, int]:
        sizes = evolve(SHORT, layers=layers, vocabulary=vocabulary)
        sizes = evolve(sizes, heads=6, ffn=1536) if narrow else sizes
        paths = quantizable_modules(sizes)
        branches = dict.fromkeys(paths, design.get("branches", 1))
        size = model_size(BertClassifier(sizes, Design(weights=design.get("weights", {}), branches=branches)))
        return size.matrix_bits, size.total_bits

    base, layer, word = measured(1, 10), measured(2, 10), measured(1, 11)
    matrix, total = (
        (b + (FULL.layers - 1) * (more - b) + (FULL.vocabulary - 10) * (wider - b)) / MIB
        for b, more, wider in zip(base, layer, word, strict=True)
    )
    return matrix, total


CLASSIFIER = (2 * 768 + 2) * 4 / 2**20


def test_the_published_sizes() -> None:
    """BERT-base 417.6 MiB; TernaryBERT 27.95; 1 bit 14.96 with positions; half width split 15.85 + 2.15."""
    rows = {"weights": {Site.WORD_EMBEDDING: Bwn(granularity="row"), **dict.fromkeys(LINEAR_SITES, Bwn())}}
    one = {"weights": dict.fromkeys((Site.WORD_EMBEDDING, *LINEAR_SITES), Bwn())}
    two = {"weights": dict.fromkeys((Site.WORD_EMBEDDING, *LINEAR_SITES), Twn())}
    assert grown({})[1] - CLASSIFIER == pytest.approx(417.6, abs=0.05)
    ternary = grown(two)
    assert ternary[0] == pytest.approx(25.98, abs=0.005)
    assert ternary[1] - CLASSIFIER == pytest.approx(27.95, abs=0.005)
    assert grown(one)[1] - CLASSIFIER == pytest.approx(14.96, abs=0.005)
    matrix, total = grown(rows | {"branches": 2}, narrow=True)
    assert matrix == pytest.approx(15.85, abs=0.05)
    assert total - CLASSIFIER == pytest.approx(18.0, abs=0.3)
