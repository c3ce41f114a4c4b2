from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from bebertlab.api import Batch, BertClassifier, Checkpoint, QuantSpec, Site, Tap, UserError
from bebertlab.model.slice import slice_depth, slice_width
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert import Bwn
from bebertlab_dynabert import Importance, NeuronOrder, descending, measure_importance, reordered

if TYPE_CHECKING:
    from tests.conftest import Golden


def order_of(vectors: Golden) -> NeuronOrder:
    layers = range(vectors.meta["config"]["num_hidden_layers"])
    return NeuronOrder(
        heads=torch.stack([vectors.tensors[f"order/head_{layer}"] for layer in layers]),
        neurons=torch.stack([vectors.tensors[f"order/neuron_{layer}"] for layer in layers]),
    )


def test_the_order_is_that_of_the_published_code(vectors: Golden, whole: Checkpoint, batch: Batch) -> None:
    importance, wanted = measure_importance(BertClassifier.from_checkpoint(whole), [batch]), order_of(vectors)
    found, tolerance = descending(importance), vectors.meta["tolerance"]["importance"]
    # two that are as important but for float noise may change places
    for values, ours, theirs in (
        (importance.heads, found.heads, wanted.heads),
        (importance.neurons, found.neurons, wanted.neurons),
    ):
        torch.testing.assert_close(values.gather(1, theirs), values.gather(1, ours), **tolerance)
        assert torch.equal(theirs.sort(1).values, ours.sort(1).values)


def test_tensors_are_those_of_the_published_code(vectors: Golden, whole: Checkpoint) -> None:
    found = reordered(whole, order_of(vectors)).tensors
    wanted = vectors.below("reordered")
    assert wanted
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, **vectors.meta["tolerance"]["reordered state"])


def test_slices_are_those_of_the_published_code(
    vectors: Golden, cases: Callable[[str], list[dict[str, Any]]], whole: Checkpoint, batch: Batch
) -> None:
    after = reordered(whole, order_of(vectors))
    for case in cases("reordered"):
        part = slice_depth(slice_width(after, case.get("width_mult", 1.0)), case.get("depth_mult", 1.0))
        with torch.no_grad():
            logits = BertClassifier.from_checkpoint(part).eval()(batch).logits
        wanted = vectors.tensors[f"{case['name']}/logits"]
        torch.testing.assert_close(logits, wanted, **vectors.meta["tolerance"]["outputs"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_whole_model_computes_the_same_in_any_order(seed: int) -> None:
    before = tiny_model(tiny_task(), hidden=8).eval()
    sizes = before.architecture
    generator = torch.Generator().manual_seed(seed)
    order = NeuronOrder(
        heads=torch.rand(sizes.layers, sizes.heads, generator=generator).argsort(1),
        neurons=torch.rand(sizes.layers, sizes.ffn, generator=generator).argsort(1),
    )
    after = BertClassifier.from_checkpoint(reordered(before.checkpoint(), order)).eval()
    tokens = torch.randint(0, sizes.vocabulary, (3, 6), generator=generator)
    batch = Batch(
        positions=torch.arange(3), tokens=tokens, segments=tokens % 2, mask=tokens > 2, labels=torch.zeros(3).long()
    )
    taps = frozenset({Tap.HIDDEN, Tap.SCORES})
    one, other = before(batch, taps), after(batch, taps)
    torch.testing.assert_close(other.logits, one.logits)
    torch.testing.assert_close(other.taps[Tap.HIDDEN], one.taps[Tap.HIDDEN], atol=1e-5, rtol=1e-5)
    for layer in range(sizes.layers):
        scores = one.taps[Tap.SCORES][layer][:, order.heads[layer]]
        torch.testing.assert_close(other.taps[Tap.SCORES][layer], scores, atol=1e-5, rtol=1e-5)


def test_of_equals_the_first_comes_first() -> None:
    heads, neurons = torch.tensor([[1.0, 3.0, 1.0, 3.0]]), torch.tensor([[0.0, 0.0, 2.0]])
    order = descending(Importance(heads=heads, neurons=neurons))
    assert order.heads.tolist() == [[1, 3, 0, 2]]
    assert order.neurons.tolist() == [[2, 0, 1]]


def test_a_quantized_model_is_refused(whole: Checkpoint, vectors: Golden) -> None:
    quantized = BertClassifier(whole.architecture, QuantSpec(weights={Site.QUERY: Bwn()})).checkpoint()
    with pytest.raises(UserError, match="reorder first, then quantize"):
        reordered(quantized, order_of(vectors))
