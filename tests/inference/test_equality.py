from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch

from bebertlab.inference.equality import compare_models
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab_binarybert import BinaryBert

SIZES = Architecture(vocabulary=20, positions=8, hidden=8, heads=2, head_size=4, ffn=8, layers=2, classes=2)
DOWN = "bert.encoder.layer.0.output.dense"


@pytest.fixture
def model() -> BertClassifier:
    plain = random_checkpoint(SIZES, seed=0, spread=0.5)
    return BertClassifier.from_checkpoint(plain).double()


@pytest.fixture
def batch() -> Batch:
    tokens = torch.randint(1, 20, (64, 6), generator=torch.Generator().manual_seed(0))
    return Batch(
        positions=torch.arange(64),
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        mask=torch.ones_like(tokens, dtype=torch.bool),
        labels=torch.zeros(64, dtype=torch.int64),
    )


def test_a_copy_is_equal(model: BertClassifier, batch: Batch) -> None:
    same = compare_models(model, deepcopy(model), batch)
    assert same.logits == same.modules == 0.0


def test_the_module_that_differs_is_named_and_later_modules_are_not(model: BertClassifier, batch: Batch) -> None:
    other = deepcopy(model)
    with torch.no_grad():
        dict(other.named_parameters())[f"{DOWN}.bias"][0] += 0.25
    same = compare_models(model, other, batch)
    assert same.module == DOWN
    assert 0.05 < same.modules < 0.2501
    assert same.logits > 0


def test_modules_that_may_change_are_excluded(model: BertClassifier, batch: Batch) -> None:
    other = deepcopy(model)
    with torch.no_grad():
        dict(other.named_parameters())[f"{DOWN}.bias"][0] += 0.25
    same = compare_models(model, other, batch, frozenset({DOWN}))
    assert same.modules == 0.0
    assert same.logits > 0


def test_an_activation_at_a_rounding_boundary_is_not_an_error_of_a_module(batch: Batch) -> None:
    spec = BinaryBert(weight_bits=32, activation_bits=8).spec()
    plain = random_checkpoint(SIZES, seed=0, spread=0.5)
    model = BertClassifier(SIZES, QuantSpec(inputs=spec.inputs)).double()
    names = {name.replace(".branches.0.", "."): name for name in model.state_dict()}
    model.load_state_dict(
        {names[name]: value.double() for name, value in plain.tensors.items() if name in names}, strict=False
    )
    actual = []
    for position in range(
        SIZES.hidden
    ):  # each far below the tolerance in itself; some move an activation across a threshold
        other = deepcopy(model)
        with torch.no_grad():
            other.bert.embeddings.LayerNorm.bias[position].add_(9e-6)
        actual.append(compare_models(model, other, batch))
    assert max(same.modules for same in actual) < 1e-5
    assert max(same.logits for same in actual) > 1e-5


def test_nan_is_the_largest_difference(model: BertClassifier, batch: Batch) -> None:
    other = deepcopy(model)
    with torch.no_grad():
        other.classifier.bias.fill_(math.nan)
        dict(other.named_parameters())[f"{DOWN}.bias"].add_(1.0)
    same = compare_models(model, other, batch)
    assert same.module == "classifier"
    assert math.isnan(same.modules)
    assert math.isnan(same.logits)
