from __future__ import annotations

import pytest

from bebertlab.bench.shape import SHAPES


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "heads", "head_size", "ffn"),
    [("minilm", 6, 384, 12, 32, 1536), ("base", 12, 768, 12, 64, 3072)],
)
def test_shapes_are_those_of_published_models(
    name: str, layers: int, hidden: int, heads: int, head_size: int, ffn: int
) -> None:
    shape = SHAPES[name]
    assert (shape.layers, shape.hidden, shape.heads, shape.head_size, shape.ffn) == (
        layers,
        hidden,
        heads,
        head_size,
        ffn,
    )
    assert shape.vocabulary == 30_522
    assert shape.dropout == 0.1
