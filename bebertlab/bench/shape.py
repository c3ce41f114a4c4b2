"""The models that are measured."""

from __future__ import annotations

from collections.abc import Mapping

from bebertlab.interfaces.architecture import Architecture


def _bert(*, layers: int, hidden: int, heads: int, head_size: int, ffn: int, vocabulary: int = 30_522) -> Architecture:
    """With the vocabulary and positions of bert-base-uncased."""
    return Architecture(
        vocabulary=vocabulary,
        positions=512,
        layers=layers,
        hidden=hidden,
        heads=heads,
        head_size=head_size,
        ffn=ffn,
        classes=2,
    )


SHAPES: Mapping[str, Architecture] = {
    "tiny": _bert(layers=2, hidden=32, heads=2, head_size=16, ffn=64, vocabulary=2_000),
    "minilm": _bert(layers=6, hidden=384, heads=12, head_size=32, ffn=1536),
    "base": _bert(layers=12, hidden=768, heads=12, head_size=64, ffn=3072),
}
