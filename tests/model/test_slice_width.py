from __future__ import annotations

import pytest
import torch
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.slice import slice_width


@pytest.fixture
def wide(sizes: Architecture) -> Checkpoint:
    return random_checkpoint(evolve(sizes, heads=4, ffn=24), seed=0, spread=0.3)


def test_half_of_bert_base_has_6_heads_and_1536_neurons() -> None:
    sizes = Architecture(vocabulary=3, positions=3, hidden=768, heads=12, head_size=64, ffn=3072, layers=1, classes=2)
    half = slice_width(random_checkpoint(sizes, seed=0), 0.5)
    assert (half.architecture.heads, half.architecture.head_size, half.architecture.ffn) == (6, 64, 1536)
    assert half.architecture.hidden == 768
    layer = "bert.encoder.layer.0."
    assert half.tensors[layer + "attention.self.query.weight"].shape == (384, 768)
    assert half.tensors[layer + "attention.output.dense.weight"].shape == (768, 384)
    assert half.tensors[layer + "intermediate.dense.weight"].shape == (1536, 768)
    assert half.tensors[layer + "output.dense.weight"].shape == (768, 1536)


def test_a_slice_computes_what_the_whole_does_with_the_rest_masked(wide: Checkpoint, batch: Batch) -> None:
    half = BertClassifier.from_checkpoint(slice_width(wide, 0.5))
    masked = {name: tensor.clone() for name, tensor in wide.tensors.items()}
    for layer in range(2):  # what the dropped heads and neurons send on is taken away
        masked[f"bert.encoder.layer.{layer}.attention.output.dense.weight"][:, 8:] = 0
        masked[f"bert.encoder.layer.{layer}.output.dense.weight"][:, 12:] = 0
    whole = BertClassifier.from_checkpoint(evolve(wide, tensors=masked))
    torch.testing.assert_close(half(batch).logits, whole(batch).logits)
    assert not torch.allclose(half(batch).logits, BertClassifier.from_checkpoint(wide)(batch).logits, atol=1e-2)


def test_the_whole_width_is_a_copy(wide: Checkpoint) -> None:
    copy = slice_width(wide, 1.0)
    assert copy.architecture == wide.architecture
    assert all(torch.equal(copy.tensors[name], tensor) for name, tensor in wide.tensors.items())
    assert all(copy.tensors[name].data_ptr() != tensor.data_ptr() for name, tensor in wide.tensors.items())


@pytest.mark.parametrize(
    ("fraction", "heads", "ffn"),
    [(0.25, 1, 6), (0.5, 2, 12), (0.75, 3, 18), (0.6, 2, 12), (0.625, 2, 12), (0.375, 2, 12)],
)
def test_heads_are_rounded_and_neurons_follow_them(wide: Checkpoint, fraction: float, heads: int, ffn: int) -> None:
    sizes = slice_width(wide, fraction).architecture
    assert (sizes.heads, sizes.ffn) == (heads, ffn)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.1, float("nan")])
def test_widths_out_of_range_are_refused(wide: Checkpoint, fraction: float) -> None:
    with pytest.raises(UserError, match=r"must be in \(0, 1\]"):
        slice_width(wide, fraction)


def test_a_width_without_heads_is_refused(wide: Checkpoint) -> None:
    with pytest.raises(UserError, match=r"keeps none of 4 heads; expected at least 0\.25"):
        slice_width(wide, 0.1)


def test_a_quantized_model_is_refused(quantized: Checkpoint) -> None:
    with pytest.raises(UserError, match="slice first, then quantize"):
        slice_width(quantized, 0.5)
