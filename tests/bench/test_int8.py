from __future__ import annotations

import pytest
import torch
from torch import nn

from bebertlab.bench.huggingface import reference_model
from bebertlab.bench.int8 import Int8Linear, Int8Product, quantize_statically
from bebertlab.bench.models import BenchConfig
from bebertlab.inference.integers import exact_products

pytestmark = pytest.mark.skipif(not exact_products(), reason="torch has no int8 products by oneDNN here")


def test_product_scales_rows_and_adds_the_bias() -> None:
    weight, bias = torch.tensor([[1.0, -0.5], [0.0, 2.0]]), torch.tensor([10.0, -1.0])
    levels = torch.tensor([[128 + 25, 128], [128, 128 - 50]], dtype=torch.uint8)  # 1, 0 and 0, -2 at steps of 0.04
    expected = torch.tensor([[11.0, -1.0], [11.0, -5.0]])
    torch.testing.assert_close(Int8Product(weight, bias)(levels), expected, atol=0.02, rtol=0.0)


def test_row_of_zeros_is_its_bias() -> None:
    product = Int8Product(torch.zeros(1, 2), torch.tensor([3.0]))
    assert product(torch.full((1, 2), 255, dtype=torch.uint8)).tolist() == [[3.0]]


def test_encoder_is_close_to_the_one_in_full_precision(config: BenchConfig) -> None:
    model = reference_model(config.architecture).eval()
    tokens = torch.randint(1000, 2000, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(input_ids=tokens).logits
        quantize_statically(model)
        actual = model(input_ids=tokens).logits
    assert not any(isinstance(module, nn.Linear) for module in model.get_submodule("bert.encoder").modules())
    assert isinstance(model.get_submodule("bert.encoder.layer.0.intermediate.dense"), Int8Linear)
    torch.testing.assert_close(actual, expected, atol=0.02, rtol=0.0)
