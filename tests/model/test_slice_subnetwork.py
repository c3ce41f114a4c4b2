from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.slice import SubNetwork, full_name, slice_depth, slice_width

PARTS = [(1.0, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.75), (0.25, 0.25)]
#: a product with columns of a matrix adds up in another order than one with a matrix of those columns
CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-5}
TAPS = frozenset({Tap.HIDDEN, Tap.SCORES})


@pytest.fixture
def whole_model(sizes: Architecture) -> Checkpoint:
    return random_checkpoint(evolve(sizes, heads=4, ffn=24, layers=4), seed=0, spread=0.3)


def gradients(model: torch.nn.Module, of: torch.nn.Module, batch: Batch) -> dict[str, Tensor]:
    torch.autograd.backward(F.cross_entropy(model(batch, TAPS).logits, batch.labels))
    return {name: p.grad for name, p in of.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("width", "depth"), PARTS)
def test_a_sub_network_computes_what_its_slice_computes(
    whole_model: Checkpoint, batch: Batch, width: float, depth: float
) -> None:
    separate = BertClassifier.from_checkpoint(slice_depth(slice_width(whole_model, width), depth)).eval()
    part = SubNetwork(BertClassifier.from_checkpoint(whole_model), width=width, depth=depth).eval()
    expected, actual = separate(batch, TAPS), part(batch, TAPS)
    torch.testing.assert_close(actual.logits, expected.logits, **CLOSE)
    for tap in TAPS:
        torch.testing.assert_close(actual.taps[tap], expected.taps[tap], **CLOSE)
    torch.testing.assert_close(part(batch).logits, separate(batch).logits, **CLOSE)


@pytest.mark.parametrize(("width", "depth"), PARTS)
def test_gradients_are_those_of_the_slice_and_zero_elsewhere(
    whole_model: Checkpoint, batch: Batch, width: float, depth: float
) -> None:
    separate = BertClassifier.from_checkpoint(slice_depth(slice_width(whole_model, width), depth)).eval()
    model = BertClassifier.from_checkpoint(whole_model)
    part = SubNetwork(model, width=width, depth=depth).eval()
    expected = gradients(separate, separate, batch)
    actual = gradients(part, model, batch)
    assert actual.keys() == {full_name(name, part.layers) for name in expected}
    for name, gradient in expected.items():
        whole_gradient = actual[full_name(name, part.layers)]
        position = tuple(slice(size) for size in gradient.shape)
        torch.testing.assert_close(whole_gradient[position], gradient, **CLOSE)
        remaining = whole_gradient.clone()
        remaining[position] = 0
        assert not remaining.any()


def test_gradients_of_several_add_up(whole_model: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(whole_model)
    parts = [SubNetwork(model, width=width, depth=depth).eval() for width, depth in PARTS]
    separate = []
    for part in parts:
        separate.append({name: gradient.clone() for name, gradient in gradients(part, model, batch).items()})
        model.zero_grad()
    for part in parts:
        together = gradients(part, model, batch)
    for name, gradient in together.items():
        total = torch.stack([item[name] for item in separate if name in item]).sum(0)
        torch.testing.assert_close(gradient, total, atol=1e-6, rtol=1e-5)


def test_a_sub_network_shares_the_weights_of_the_model(whole_model: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(whole_model)
    part = SubNetwork(model, width=0.5, depth=0.5).eval()
    before = part(batch).logits
    for parameter in model.parameters():
        parameter.data = parameter.data * 1.5  # as the optimizer lays them elsewhere
    separate = BertClassifier.from_checkpoint(slice_depth(slice_width(model.checkpoint(), 0.5), 0.5)).eval()
    torch.testing.assert_close(part(batch).logits, separate(batch).logits, **CLOSE)
    assert not torch.allclose(part(batch).logits, before)


def test_a_sub_network_has_no_parameters(whole_model: Checkpoint) -> None:
    part = SubNetwork(BertClassifier.from_checkpoint(whole_model), width=0.5, depth=1.0)
    assert {parameter.device.type for parameter in part.parameters()} == {"meta"}


def test_dropout_follows_its_mode(whole_model: Checkpoint, batch: Batch) -> None:
    dropped = evolve(whole_model, architecture=evolve(whole_model.architecture, dropout=0.5))
    part = SubNetwork(BertClassifier.from_checkpoint(dropped), width=0.5, depth=1.0)
    assert not torch.equal(part.train()(batch).logits, part(batch).logits)
    assert torch.equal(part.eval()(batch).logits, part(batch).logits)


def test_a_quantized_model_is_refused(quantized: Checkpoint) -> None:
    with pytest.raises(UserError, match="slice first, then quantize"):
        SubNetwork(BertClassifier.from_checkpoint(quantized), width=0.5, depth=1.0)


@pytest.mark.parametrize(("width", "depth"), [(0.1, 1.0), (1.0, 0.1), (0.0, 1.0), (1.0, 1.5)])
def test_an_empty_sub_network_is_refused(whole_model: Checkpoint, width: float, depth: float) -> None:
    with pytest.raises(UserError, match=r"must be in \(0, 1\]|expected at least"):
        SubNetwork(BertClassifier.from_checkpoint(whole_model), width=width, depth=depth)
