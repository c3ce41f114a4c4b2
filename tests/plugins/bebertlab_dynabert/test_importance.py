from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve

from bebertlab.api import Batch, BertClassifier, Checkpoint, QuantSpec, Site, UserError
from bebertlab_binarybert import Bwn
from bebertlab_dynabert import Importance, measure_importance

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


def close(found: Importance, vectors: Golden, case: str) -> None:
    tolerance = vectors.meta["tolerance"]["importance"]
    torch.testing.assert_close(found.heads, vectors.tensors[f"{case}/head"], **tolerance)
    for layer, neurons in enumerate(found.neurons):
        torch.testing.assert_close(neurons, vectors.tensors[f"{case}/neuron_{layer}"], **tolerance)


def test_agrees_with_the_published_code(
    vectors: Golden, cases: Callable[[str], list[dict[str, Any]]], whole: Checkpoint, batch: Batch
) -> None:
    for case in cases("importance"):
        batches = parts(batch, case["batch_size"])
        close(measure_importance(model_of(whole), batches, as_published=True), vectors, case["name"])
        if len(batches) == 1:
            close(measure_importance(model_of(whole), batches), vectors, case["name"])


def test_each_batch_counts_by_itself(whole: Checkpoint, batch: Batch) -> None:
    single = parts(batch, 1)
    together = measure_importance(model_of(whole), single)
    apart = [measure_importance(model_of(whole), [part]) for part in single]
    torch.testing.assert_close(together.heads, torch.stack([one.heads for one in apart]).sum(0))
    torch.testing.assert_close(together.neurons, torch.stack([one.neurons for one in apart]).sum(0))
    added_up = measure_importance(model_of(whole), single, as_published=True)
    assert not torch.allclose(added_up.heads, together.heads, rtol=1e-2)
    assert not torch.allclose(added_up.neurons, together.neurons, rtol=1e-2)


def test_it_is_the_slope_of_the_loss_as_a_head_fades(vectors: Golden, whole: Checkpoint, batch: Batch) -> None:
    """Against differences of the loss in double precision, for the most important head of each layer."""
    model, size = model_of(whole).double().eval(), whole.architecture.head_size
    for layer, heads in enumerate(measure_importance(model, [batch]).heads):
        head = int(heads.argmax())
        weight = model.bert.encoder.layer[layer].get_parameter("attention.output.dense.weight").data
        columns = slice(size * head, size * head + size)
        own = weight[:, columns].clone()
        values = []
        for factor in (1 + 1e-4, 1 - 1e-4):
            weight[:, columns] = factor * own
            with torch.no_grad():
                values.append(vectors.loss(model(batch).logits))
        weight[:, columns] = own
        assert float(abs(values[0] - values[1]) / 2e-4) == pytest.approx(float(heads[head]), rel=1e-5)


def test_a_neuron_that_sends_on_nothing_has_no_importance(whole: Checkpoint, batch: Batch) -> None:
    last = whole.architecture.layers - 1
    path = f"bert.encoder.layer.{last}.output.dense.weight"
    before = measure_importance(model_of(whole), [batch]).neurons[last]
    neuron = int(before.argmax())
    tensors = {**whole.tensors, path: whole.tensors[path].clone()}
    tensors[path][:, neuron] = 0
    after = measure_importance(model_of(evolve(whole, tensors=tensors)), [batch]).neurons[last]
    assert after[neuron] == 0
    assert ((after == 0) == (before == 0)).sum() == len(after) - 1


def test_regression_has_importances_too(whole: Checkpoint, batch: Batch) -> None:
    tensors = {**whole.tensors, **{f"classifier.{n}": whole.tensors[f"classifier.{n}"][:1] for n in ("weight", "bias")}}
    single = evolve(whole, architecture=evolve(whole.architecture, classes=1), tensors=tensors)
    logits = model_of(single).eval()(batch).logits.detach()
    near = measure_importance(model_of(single), [evolve(batch, labels=logits[:, 0] - 0.1)])
    far = measure_importance(model_of(single), [evolve(batch, labels=logits[:, 0] - 0.2)])
    torch.testing.assert_close(far.heads, 2 * near.heads, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(far.neurons, 2 * near.neurons, rtol=1e-3, atol=1e-6)


def test_it_leaves_no_trace_and_drops_nothing_out(whole: Checkpoint, batch: Batch) -> None:
    model = model_of(evolve(whole, architecture=evolve(whole.architecture, dropout=0.5))).train()
    first, second = (measure_importance(model, [batch]) for _ in range(2))
    assert torch.equal(first.heads, second.heads)
    assert not any(values.requires_grad for values in (first.heads, first.neurons))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_has_none_is_refused(whole: Checkpoint, batch: Batch) -> None:
    with pytest.raises(UserError, match="there are none"):
        measure_importance(model_of(whole), [])
    quantized = BertClassifier(whole.architecture, QuantSpec(weights={Site.QUERY: Bwn()}))
    with pytest.raises(UserError, match="reorder first, then quantize"):
        measure_importance(quantized, [batch])
