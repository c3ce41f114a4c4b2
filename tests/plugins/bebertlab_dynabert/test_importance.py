from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import Tensor

from bebertlab.api import Batch, BertClassifier, Checkpoint, Design, Site, UserError
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


def test_agrees_with_the_published_code(vectors: Golden, whole: Checkpoint, batch: Batch) -> None:
    cases = [case for case in vectors.cases if case["name"].startswith("importance.")]
    assert cases
    for case in cases:
        batches = parts(batch, case["batch_size"])
        close(measure_importance(model_of(whole), batches, as_published=True), vectors, case["name"])
        if len(batches) == 1:
            close(measure_importance(model_of(whole), batches), vectors, case["name"])


def test_each_batch_counts_by_itself(whole: Checkpoint, batch: Batch) -> None:
    one, two = parts(batch, 2)
    together = measure_importance(model_of(whole), [one, two])
    apart = [measure_importance(model_of(whole), [part]) for part in (one, two)]
    torch.testing.assert_close(together.heads, apart[0].heads + apart[1].heads)
    torch.testing.assert_close(together.neurons, apart[0].neurons + apart[1].neurons)
    added_up = measure_importance(model_of(whole), [one, two], as_published=True)
    assert not torch.allclose(added_up.heads, together.heads, rtol=1e-2)
    assert not torch.allclose(added_up.neurons, together.neurons, rtol=1e-2)


def loss(model: BertClassifier, batch: Batch) -> Tensor:
    with torch.no_grad():
        return F.cross_entropy(model(batch).logits, batch.labels)


def test_it_is_the_slope_of_the_loss_as_a_head_fades(whole: Checkpoint, batch: Batch) -> None:
    """Against differences of the loss in double precision."""
    model = model_of(whole).double()
    heads = measure_importance(model, [batch]).heads
    for layer, head in ((0, 1), (1, 3)):
        weight = model.bert.encoder.layer[layer].get_parameter("attention.output.dense.weight").data
        columns = slice(16 * head, 16 * head + 16)
        own = weight[:, columns].clone()
        values = []
        for factor in (1 + 1e-4, 1 - 1e-4):
            weight[:, columns] = factor * own
            values.append(loss(model, batch))
        weight[:, columns] = own
        assert float(abs(values[0] - values[1]) / 2e-4) == pytest.approx(float(heads[layer, head]), rel=1e-5)


def test_a_neuron_that_sends_on_nothing_has_no_importance(whole: Checkpoint, batch: Batch) -> None:
    path = "bert.encoder.layer.1.output.dense.weight"
    tensors = {**whole.tensors, path: whole.tensors[path].clone()}
    tensors[path][:, 5] = 0
    neurons = measure_importance(model_of(evolve(whole, tensors=tensors)), [batch]).neurons[1]
    assert neurons[5] == 0
    assert (neurons > 0).sum() == len(neurons) - 1


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
    quantized = BertClassifier(whole.architecture, Design(weights={Site.QUERY: Bwn()}))
    with pytest.raises(UserError, match="reorder first, then quantize"):
        measure_importance(quantized, [batch])
