from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve

from bebertlab.inference.frozen import frozen_weights
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.int8 import exact_products
from bebertlab.model.requantize import apply_spec
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.uniform import Uniform

if TYPE_CHECKING:
    from tests.model.conftest import Rounding


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


@pytest.fixture
def wide(sizes: Architecture, batch: Batch) -> BertClassifier:
    """A model whose feed-forward weights and pooler are worth packing."""
    spec = QuantSpec(
        weights={Site.FFN_UP: Bwn(), Site.POOLER: Bwn()}, inputs={Site.FFN_UP: Uniform(), Site.POOLER: Lsq()}
    )
    large = random_checkpoint(evolve(sizes, hidden=256, ffn=256), seed=0, spread=0.3)
    model = BertClassifier.from_checkpoint(apply_spec(large, spec))
    model.train()(batch)  # sets the step of the pooler's input
    return model.eval()


@torch.no_grad()
def test_products_of_few_levels_are_of_whole_numbers(wide: BertClassifier, batch: Batch) -> None:
    expected = wide(batch).logits
    layer: Any = wide.get_submodule("bert.encoder.layer.0.intermediate.dense")
    with frozen_weights(wide):
        assert (layer.integers is not None) == exact_products()
        torch.testing.assert_close(wide(batch).logits, expected, rtol=1e-4, atol=1e-4)
    with frozen_weights(wide, torch.bfloat16):
        assert layer.integers is None
    assert (layer.frozen, layer.integers) == (None, None)


@pytest.mark.parametrize(
    "broken", ["bert.embeddings.LayerNorm.weight", "bert.encoder.layer.1.intermediate.dense.branches.0.weight"]
)
@torch.no_grad()
def test_a_model_with_nan_says_nan(wide: BertClassifier, batch: Batch, broken: str) -> None:
    wide.get_parameter(broken).view(-1)[0] = torch.nan
    with frozen_weights(wide):
        assert wide(batch).logits.isnan().all()


def test_row_wise_embeddings_still_quantize_the_rows_of_the_batch(
    quantized: Checkpoint, everywhere: QuantSpec, rounding: type[Rounding], batch: Batch
) -> None:
    spec = evolve(everywhere, weights={**everywhere.weights, Site.WORD_EMBEDDING: rounding(rows=True)})
    model = BertClassifier.from_checkpoint(apply_spec(quantized, spec)).eval()
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
