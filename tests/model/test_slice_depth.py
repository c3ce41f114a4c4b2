from __future__ import annotations

from math import floor

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.slice import full_name, kept_layers, slice_depth


@pytest.fixture
def deep(sizes: Architecture) -> Checkpoint:
    return random_checkpoint(evolve(sizes, layers=4), seed=0, spread=0.3)


@pytest.mark.parametrize(
    ("layers", "fraction", "kept"),
    [
        (12, 1.0, tuple(range(12))),
        (12, 0.75, (0, 1, 2, 4, 5, 6, 8, 9, 10)),
        (12, 0.5, (0, 2, 4, 6, 8, 10)),
        (12, 0.25, (0, 4, 8)),
        (5, 0.5, (0, 2)),  # 2.5 layers are 2
        (3, 0.5, (0, 2)),  # and 1.5 are 2
        (2, 0.75, (0, 1)),
    ],
)
def test_the_layers_of_the_paper(layers: int, fraction: float, kept: tuple[int, ...]) -> None:
    assert kept_layers(layers, fraction) == kept


@given(layers=st.integers(1, 48), fraction=st.floats(0.01, 1.0))
def test_kept_layers_rise_and_are_there(layers: int, fraction: float) -> None:
    if round(layers * fraction) == 0:
        with pytest.raises(UserError, match=r"keeps none of \d+ layers"):
            kept_layers(layers, fraction)
        return
    kept = kept_layers(layers, fraction)
    assert len(kept) == round(layers * fraction)
    assert kept == tuple(floor(i / fraction) for i in range(len(kept)))
    assert list(kept) == sorted(set(kept))
    assert 0 <= kept[0] <= kept[-1] < layers


def test_a_slice_is_the_model_without_the_other_layers(deep: Checkpoint, batch: Batch) -> None:
    half = BertClassifier.from_checkpoint(slice_depth(deep, 0.5)).eval()
    whole = BertClassifier.from_checkpoint(deep).eval()
    assert half.architecture == evolve(deep.architecture, layers=2)
    expected = whole(batch).logits
    assert not torch.allclose(half(batch).logits, expected, atol=1e-2)
    del whole.bert.encoder.layer[3], whole.bert.encoder.layer[1]
    assert torch.equal(half(batch).logits, whole(batch).logits)


def test_the_whole_depth_is_a_copy(deep: Checkpoint) -> None:
    copy = slice_depth(deep, 1.0)
    assert copy.architecture == deep.architecture
    assert copy.tensors.keys() == deep.tensors.keys()
    assert all(torch.equal(copy.tensors[name], tensor) for name, tensor in deep.tensors.items())
    assert all(copy.tensors[name].data_ptr() != tensor.data_ptr() for name, tensor in deep.tensors.items())


def test_names_outside_the_layers_stay() -> None:
    assert full_name("bert.pooler.dense.bias", (0, 2)) == "bert.pooler.dense.bias"
    assert full_name("bert.encoder.layer.11.output.dense.bias", range(20, 40)).startswith("bert.encoder.layer.31.")


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.1, float("nan")])
def test_depths_out_of_range_are_refused(deep: Checkpoint, fraction: float) -> None:
    with pytest.raises(UserError, match=r"must be in \(0, 1\]"):
        slice_depth(deep, fraction)


def test_a_depth_without_layers_is_refused(deep: Checkpoint) -> None:
    with pytest.raises(UserError, match=r"keeps none of 4 layers; expected at least 0\.25"):
        slice_depth(deep, 0.1)


def test_a_quantized_model_is_refused(quantized: Checkpoint) -> None:
    with pytest.raises(UserError, match="slice first, then quantize"):
        slice_depth(quantized, 0.5)
