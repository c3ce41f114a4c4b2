from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve

from bebertlab.api import Batch, BertClassifier, Checkpoint, QuantSpec, Site, Tap, UserError
from bebertlab.model.slice import slice_depth, slice_width
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert import Bwn
from bebertlab_dynabert import Importance, NeuronOrder, descending, measure_importance, reordered

if TYPE_CHECKING:
    from tests.conftest import Golden


def model_of(checkpoint: Checkpoint) -> BertClassifier:
    return BertClassifier.from_checkpoint(checkpoint)


def parts(batch: Batch, size: int) -> list[Batch]:
    """The batch cut into smaller ones."""
    return [
        Batch(
            positions=batch.positions[start : start + size],
            tokens=batch.tokens[start : start + size],
            segments=batch.segments[start : start + size],
            mask=batch.mask[start : start + size],
            labels=batch.labels[start : start + size],
        )
        for start in range(0, len(batch.positions), size)
    ]


def close(importance: Importance, vectors: Golden, case: str) -> None:
    tolerance = vectors.meta["tolerance"]["importance"]
    torch.testing.assert_close(importance.heads, vectors.tensors[f"{case}/head"], **tolerance)
    for layer, neurons in enumerate(importance.neurons):
        torch.testing.assert_close(neurons, vectors.tensors[f"{case}/neuron_{layer}"], **tolerance)


def test_importance_agrees_with_the_published_code(
    vectors: Golden, cases: Callable[[str], list[dict[str, Any]]], whole: Checkpoint, batch: Batch
) -> None:
    for case in cases("importance"):
        batches = parts(batch, case["batch_size"])
        close(measure_importance(model_of(whole), batches, as_published=True), vectors, case["name"])
        if len(batches) == 1:
            close(measure_importance(model_of(whole), batches), vectors, case["name"])


def test_each_batch_is_measured_separately(whole: Checkpoint, batch: Batch) -> None:
    single = parts(batch, 1)
    together = measure_importance(model_of(whole), single)
    separate = [measure_importance(model_of(whole), [part]) for part in single]
    torch.testing.assert_close(together.heads, torch.stack([item.heads for item in separate]).sum(0))
    torch.testing.assert_close(together.neurons, torch.stack([item.neurons for item in separate]).sum(0))
    added_up = measure_importance(model_of(whole), single, as_published=True)
    assert not torch.allclose(added_up.heads, together.heads, rtol=1e-2)
    assert not torch.allclose(added_up.neurons, together.neurons, rtol=1e-2)


def test_importance_is_the_slope_of_the_loss_as_a_head_is_scaled(
    vectors: Golden, whole: Checkpoint, batch: Batch
) -> None:
    """Against differences of the loss in double precision, for the most important head of each layer."""
    model, size = model_of(whole).double().eval(), whole.architecture.head_size
    for layer, heads in enumerate(measure_importance(model, [batch]).heads):
        head = int(heads.argmax())
        weight = model.bert.encoder.layer[layer].get_parameter("attention.output.dense.weight").data
        columns = slice(size * head, size * head + size)
        columns_of_head = weight[:, columns].clone()
        values = []
        for factor in (1 + 1e-4, 1 - 1e-4):
            weight[:, columns] = factor * columns_of_head
            with torch.no_grad():
                values.append(vectors.loss(model(batch).logits))
        weight[:, columns] = columns_of_head
        assert float(abs(values[0] - values[1]) / 2e-4) == pytest.approx(float(heads[head]), rel=1e-5)


def test_a_neuron_without_outgoing_weights_has_no_importance(whole: Checkpoint, batch: Batch) -> None:
    last = whole.architecture.layers - 1
    path = f"bert.encoder.layer.{last}.output.dense.weight"
    before = measure_importance(model_of(whole), [batch]).neurons[last]
    neuron = int(before.argmax())
    tensors = {**whole.tensors, path: whole.tensors[path].clone()}
    tensors[path][:, neuron] = 0
    after = measure_importance(model_of(evolve(whole, tensors=tensors)), [batch]).neurons[last]
    assert after[neuron] == 0
    assert ((after == 0) == (before == 0)).sum() == len(after) - 1


def test_importance_of_a_regression(whole: Checkpoint, batch: Batch) -> None:
    tensors = {**whole.tensors, **{f"classifier.{n}": whole.tensors[f"classifier.{n}"][:1] for n in ("weight", "bias")}}
    single = evolve(whole, architecture=evolve(whole.architecture, classes=1), tensors=tensors)
    logits = model_of(single).eval()(batch).logits.detach()
    near = measure_importance(model_of(single), [evolve(batch, labels=logits[:, 0] - 0.1)])
    far = measure_importance(model_of(single), [evolve(batch, labels=logits[:, 0] - 0.2)])
    torch.testing.assert_close(far.heads, 2 * near.heads, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(far.neurons, 2 * near.neurons, rtol=1e-3, atol=1e-6)


def test_measuring_leaves_no_gradients_and_uses_no_dropout(whole: Checkpoint, batch: Batch) -> None:
    model = model_of(evolve(whole, architecture=evolve(whole.architecture, dropout=0.5))).train()
    first, second = (measure_importance(model, [batch]) for _ in range(2))
    assert torch.equal(first.heads, second.heads)
    assert not any(values.requires_grad for values in (first.heads, first.neurons))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_examples_and_quantized_models_are_refused(whole: Checkpoint, batch: Batch) -> None:
    with pytest.raises(UserError, match="there are none"):
        measure_importance(model_of(whole), [])
    quantized = BertClassifier(whole.architecture, QuantSpec(weights={Site.QUERY: Bwn()}))
    with pytest.raises(UserError, match="reorder first, then quantize"):
        measure_importance(quantized, [batch])


def order_of(vectors: Golden) -> NeuronOrder:
    layers = range(vectors.meta["config"]["num_hidden_layers"])
    return NeuronOrder(
        heads=torch.stack([vectors.tensors[f"order/head_{layer}"] for layer in layers]),
        neurons=torch.stack([vectors.tensors[f"order/neuron_{layer}"] for layer in layers]),
    )


def test_the_order_equals_that_of_the_published_code(vectors: Golden, whole: Checkpoint, batch: Batch) -> None:
    importance, expected = measure_importance(BertClassifier.from_checkpoint(whole), [batch]), order_of(vectors)
    actual, tolerance = descending(importance), vectors.meta["tolerance"]["importance"]
    # two that are as important but for float noise may change places
    for values, ours, theirs in (
        (importance.heads, actual.heads, expected.heads),
        (importance.neurons, actual.neurons, expected.neurons),
    ):
        torch.testing.assert_close(values.gather(1, theirs), values.gather(1, ours), **tolerance)
        assert torch.equal(theirs.sort(1).values, ours.sort(1).values)


def test_tensors_equal_those_of_the_published_code(vectors: Golden, whole: Checkpoint) -> None:
    actual = reordered(whole, order_of(vectors)).tensors
    expected = vectors.below("reordered")
    assert expected
    for name, tensor in expected.items():
        torch.testing.assert_close(actual[name], tensor, **vectors.meta["tolerance"]["reordered state"])


def test_slices_equal_those_of_the_published_code(
    vectors: Golden, cases: Callable[[str], list[dict[str, Any]]], whole: Checkpoint, batch: Batch
) -> None:
    after = reordered(whole, order_of(vectors))
    for case in cases("reordered"):
        part = slice_depth(slice_width(after, case.get("width_mult", 1.0)), case.get("depth_mult", 1.0))
        with torch.no_grad():
            logits = BertClassifier.from_checkpoint(part).eval()(batch).logits
        expected = vectors.tensors[f"{case['name']}/logits"]
        torch.testing.assert_close(logits, expected, **vectors.meta["tolerance"]["outputs"])


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
    item, other = before(batch, taps), after(batch, taps)
    torch.testing.assert_close(other.logits, item.logits)
    torch.testing.assert_close(other.taps[Tap.HIDDEN], item.taps[Tap.HIDDEN], atol=1e-5, rtol=1e-5)
    for layer in range(sizes.layers):
        scores = item.taps[Tap.SCORES][layer][:, order.heads[layer]]
        torch.testing.assert_close(other.taps[Tap.SCORES][layer], scores, atol=1e-5, rtol=1e-5)


def test_equally_important_heads_keep_their_order() -> None:
    heads, neurons = torch.tensor([[1.0, 3.0, 1.0, 3.0]]), torch.tensor([[0.0, 0.0, 2.0]])
    order = descending(Importance(heads=heads, neurons=neurons))
    assert order.heads.tolist() == [[1, 3, 0, 2]]
    assert order.neurons.tolist() == [[2, 0, 1]]


def test_a_quantized_model_is_not_reordered(whole: Checkpoint, vectors: Golden) -> None:
    quantized = BertClassifier(whole.architecture, QuantSpec(weights={Site.QUERY: Bwn()})).checkpoint()
    with pytest.raises(UserError, match="reorder first, then quantize"):
        reordered(quantized, order_of(vectors))
