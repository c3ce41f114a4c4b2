from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import LINEAR_SITES, WEIGHT_SITES, Checkpoint, Design, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.design import branch_counts, branch_prefix
from bebertlab.nn.surgery import redesign

if TYPE_CHECKING:
    from tests.nn.conftest import Rounding

QUERY = "bert.encoder.layer.0.attention.self.query."


def moved(checkpoint: Checkpoint) -> Checkpoint:
    """The same model with every step of a quantizer somewhere else."""
    tensors = {
        name: tensor * 3 if name.endswith(".step") else tensor.clone() for name, tensor in checkpoint.tensors.items()
    }
    return evolve(checkpoint, tensors=tensors)


def test_full_precision_weights_become_the_first_branch(checkpoint: Checkpoint, quantized: Checkpoint) -> None:
    for path, count in branch_counts(quantized.architecture, quantized.design).items():
        assert count == 1
        new, old = branch_prefix(path, 0, 1), branch_prefix(path, 0, 0)
        assert torch.equal(quantized.tensors[new + "weight"], checkpoint.tensors[old + "weight"])
    assert torch.equal(quantized.tensors["classifier.weight"], checkpoint.tensors["classifier.weight"])
    assert quantized.tensors[QUERY + "branches.0.input_quantizer.step"] == 0.125


def test_the_way_back_gives_the_weights_again(checkpoint: Checkpoint, quantized: Checkpoint) -> None:
    back = redesign(quantized, Design())
    assert back.tensors.keys() == checkpoint.tensors.keys()
    assert all(torch.equal(back.tensors[name], checkpoint.tensors[name]) for name in back.tensors)


def test_quantizers_keep_their_state_where_their_options_stay(
    quantized: Checkpoint, everywhere: Design, rounding: type[Rounding]
) -> None:
    source = moved(quantized)
    inputs = {**everywhere.inputs, Site.QUERY: rounding(step=0.7)}
    result = redesign(source, evolve(everywhere, inputs=inputs)).tensors
    anew = {name for name in result if not torch.equal(result[name], source.tensors[name])}
    layers = range(2)
    assert anew == {f"bert.encoder.layer.{i}.attention.self.query.branches.0.input_quantizer.step" for i in layers}
    assert result[QUERY + "branches.0.input_quantizer.step"] == pytest.approx(0.7)


def test_attention_quantizers_too(quantized: Checkpoint, everywhere: Design, rounding: type[Rounding]) -> None:
    attention = {**everywhere.attention, Site.ATTENTION_KEY: rounding(step=0.7)}
    result = redesign(moved(quantized), evolve(everywhere, attention=attention)).tensors
    quantizers = "bert.encoder.layer.1.attention.self.quantizers."
    assert result[quantizers + "attention_key.step"] == pytest.approx(0.7)
    assert result[quantizers + "attention_query.step"] == pytest.approx(3 * 0.0625)


def test_a_scheme_that_knows_no_branches_leaves_them(
    checkpoint: Checkpoint, everywhere: Design, rounding: type[Rounding], batch: Batch
) -> None:
    split = BertClassifier(checkpoint.architecture, everywhere.with_branches({"bert.pooler.dense": 2})).checkpoint()
    other = redesign(split, Design(weights={site: rounding() for site in WEIGHT_SITES}))
    assert other.design.branches == {"bert.pooler.dense": 2}
    assert "bert.pooler.dense.branches.1.weight" in other.tensors
    plain = redesign(split, Design())  # a sum of two full-precision maps
    assert "bert.pooler.dense.branches.1.weight" in plain.tensors
    BertClassifier.from_checkpoint(plain)(batch)


def test_branches_cannot_be_made_by_a_design(checkpoint: Checkpoint, everywhere: Design) -> None:
    with pytest.raises(UserError, match=r"bert\.pooler\.dense has 1 branches and cannot get 2; use a split stage"):
        redesign(checkpoint, everywhere.with_branches({"bert.pooler.dense": 2}))


def test_the_activation_stays_until_a_design_asks_for_another(checkpoint: Checkpoint) -> None:
    relu = redesign(checkpoint, Design(activation="relu"))
    assert relu.architecture.activation == "relu"
    assert redesign(relu, Design()).architecture.activation == "relu"
    assert redesign(relu, Design(activation="gelu")).architecture.activation == "gelu"


def test_the_copy_is_independent(checkpoint: Checkpoint) -> None:
    copy = redesign(checkpoint, Design())
    copy.tensors["classifier.weight"].fill_(7.0)
    assert not (checkpoint.tensors["classifier.weight"] == 7.0).any()


def test_a_checkpoint_that_lacks_a_weight_is_refused(checkpoint: Checkpoint, rounding: type[Rounding]) -> None:
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name != "bert.pooler.dense.weight"}
    design = Design(inputs={site: rounding() for site in LINEAR_SITES})
    with pytest.raises(UserError, match=r"lacks bert\.pooler\.dense\.weight"):
        redesign(evolve(checkpoint, tensors=tensors), design)
