from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve

from bebertlab.interfaces.architecture import Checkpoint, Design, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.frozen import frozen_weights
from bebertlab.nn.surgery import redesign

if TYPE_CHECKING:
    from tests.nn.conftest import Rounding


def weight_calls(model: BertClassifier) -> int:
    quantizers: list[Any] = [m for name, m in model.named_modules() if name.endswith("weight_quantizer")]
    return sum(len(quantizer.calls) for quantizer in quantizers)


def test_weights_are_quantized_once_and_the_numbers_stay(quantized: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(quantized).eval()
    expected = model(batch).logits
    once = weight_calls(model)
    with torch.no_grad(), frozen_weights(model):
        assert torch.equal(model(batch).logits, expected)
        assert torch.equal(model(batch).logits, expected)
    assert weight_calls(model) == 2 * once


def test_row_wise_embeddings_still_quantize_the_rows_of_the_batch(
    quantized: Checkpoint, everywhere: Design, rounding: type[Rounding], batch: Batch
) -> None:
    design = evolve(everywhere, weights={**everywhere.weights, Site.WORD_EMBEDDING: rounding(rows=True)})
    model = BertClassifier.from_checkpoint(redesign(quantized, design)).eval()
    quantizer: Any = model.get_submodule("bert.embeddings.word_embeddings.branches.0.weight_quantizer")
    with torch.no_grad(), frozen_weights(model):
        model(batch)
    assert quantizer.calls == [(batch.tokens.numel(), model.architecture.hidden)]


def test_weights_count_again_afterwards_also_after_an_error(quantized: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(quantized).eval()
    before = model(batch).logits
    with pytest.raises(RuntimeError, match="stop"), frozen_weights(model):
        raise RuntimeError("stop")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    assert not torch.equal(model(batch).logits, before)
    model(batch).logits.sum().backward()
    weight = model.get_parameter("bert.pooler.dense.branches.0.weight")
    assert weight.grad is not None
    assert weight.grad.any()
