from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import LINEAR_SITES, WEIGHT_SITES, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer, QuantizerOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import branch_prefix
from bebertlab.model.requantize import apply_spec
from bebertlab.model.spec import branch_counts

if TYPE_CHECKING:
    from tests.model.conftest import Rounding

QUERY = "bert.encoder.layer.0.attention.self.query."
SHIFT = QUERY + "branches.0.input_quantizer.shift"
STEP = QUERY + "branches.0.input_quantizer.step"


@frozen(kw_only=True)
class Shifted(QuantizerOptions):
    """Adds an optional vector whose meaning does not depend on the step."""

    kind = "shifted"
    step: float = 0.25
    shift: bool = True
    wide: bool = False

    def build(self, shape: torch.Size) -> ShiftedQuantizer:
        return ShiftedQuantizer(self, shape)


class ShiftedQuantizer(Quantizer):
    alphabet = Alphabet.signed(4)

    def __init__(self, options: Shifted, shape: torch.Size) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(options.step))
        self.shift = nn.Parameter(torch.zeros(shape[-1] * (1 + options.wide))) if options.shift else None
        self.transferable_state = frozenset({"shift"}) if options.shift else frozenset()

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def encode(self, x: Tensor) -> Codes:
        raise NotImplementedError


class Other(ShiftedQuantizer):
    """Of another kind, although its tensors have the same names."""


@frozen(kw_only=True)
class OtherOptions(QuantizerOptions):
    kind = "other"

    def build(self, shape: torch.Size) -> Other:
        return Other(Shifted(), shape)


def shifted(checkpoint: Checkpoint, **options: Any) -> Checkpoint:  # noqa: ANN401 - passed on to the options
    """The model with shifted inputs, every tensor of theirs moved."""
    requantized = apply_spec(checkpoint, QuantSpec(inputs=dict.fromkeys(LINEAR_SITES, Shifted(**options))))
    tensors = {name: tensor + 2 if "_quantizer." in name else tensor for name, tensor in requantized.tensors.items()}
    return evolve(requantized, tensors=tensors)


def moved(checkpoint: Checkpoint) -> Checkpoint:
    """The same model with every step of a quantizer somewhere else."""
    tensors = {
        name: tensor * 3 if name.endswith(".step") else tensor.clone() for name, tensor in checkpoint.tensors.items()
    }
    return evolve(checkpoint, tensors=tensors)


def test_full_precision_weights_become_the_first_branch(checkpoint: Checkpoint, quantized: Checkpoint) -> None:
    for path, count in branch_counts(quantized.architecture, quantized.spec).items():
        assert count == 1
        new, old = branch_prefix(path, 0, 1), branch_prefix(path, 0, 0)
        assert torch.equal(quantized.tensors[new + "weight"], checkpoint.tensors[old + "weight"])
    assert torch.equal(quantized.tensors["classifier.weight"], checkpoint.tensors["classifier.weight"])
    assert quantized.tensors[QUERY + "branches.0.input_quantizer.step"] == 0.125


def test_the_way_back_gives_the_weights_again(checkpoint: Checkpoint, quantized: Checkpoint) -> None:
    back = apply_spec(quantized, QuantSpec())
    assert back.tensors.keys() == checkpoint.tensors.keys()
    assert all(torch.equal(back.tensors[name], checkpoint.tensors[name]) for name in back.tensors)


def test_quantizers_keep_their_state_where_their_options_stay(
    quantized: Checkpoint, everywhere: QuantSpec, rounding: type[Rounding]
) -> None:
    source = moved(quantized)
    inputs = {**everywhere.inputs, Site.QUERY: rounding(step=0.7)}
    result = apply_spec(source, evolve(everywhere, inputs=inputs)).tensors
    initialized = {name for name in result if not torch.equal(result[name], source.tensors[name])}
    layers = range(2)
    assert initialized == {
        f"bert.encoder.layer.{i}.attention.self.query.branches.0.input_quantizer.step" for i in layers
    }
    assert result[QUERY + "branches.0.input_quantizer.step"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({}, Shifted(step=0.5), True),
        ({}, OtherOptions(), False),  # another kind
        ({"shift": False}, Shifted(), False),  # there was none
        ({"wide": True}, Shifted(), False),  # of another shape
    ],
)
def test_transferable_state_is_kept_where_only_options_change(
    checkpoint: Checkpoint, before: dict[str, Any], after: QuantizerOptions, kept: bool
) -> None:
    result = apply_spec(shifted(checkpoint, **before), QuantSpec(inputs=dict.fromkeys(LINEAR_SITES, after))).tensors
    assert result[SHIFT].tolist() == [2.0 if kept else 0.0] * 16
    assert result[STEP].item() < 1.0  # it is not transferable


def test_transferable_state_of_attention_quantizers_is_kept(checkpoint: Checkpoint) -> None:
    source = apply_spec(checkpoint, QuantSpec(attention={Site.ATTENTION_KEY: Shifted()}))
    position = "bert.encoder.layer.1.attention.self.quantizers.attention_key."
    tensors = {**source.tensors, position + "shift": torch.full((4,), 2.0), position + "step": torch.tensor(5.0)}
    spec = QuantSpec(attention={Site.ATTENTION_KEY: Shifted(step=0.5)})
    result = apply_spec(evolve(source, tensors=tensors), spec).tensors
    assert result[position + "shift"].tolist() == [2.0] * 4
    assert result[position + "step"] == 0.5


def test_attention_quantizers_are_replaced(
    quantized: Checkpoint, everywhere: QuantSpec, rounding: type[Rounding]
) -> None:
    attention = {**everywhere.attention, Site.ATTENTION_KEY: rounding(step=0.7)}
    result = apply_spec(moved(quantized), evolve(everywhere, attention=attention)).tensors
    quantizers = "bert.encoder.layer.1.attention.self.quantizers."
    assert result[quantizers + "attention_key.step"] == pytest.approx(0.7)
    assert result[quantizers + "attention_query.step"] == pytest.approx(3 * 0.0625)


def test_a_scheme_without_branches_keeps_existing_ones(
    checkpoint: Checkpoint, everywhere: QuantSpec, rounding: type[Rounding], batch: Batch
) -> None:
    split = BertClassifier(checkpoint.architecture, everywhere.with_branches({"bert.pooler.dense": 2})).checkpoint()
    other = apply_spec(split, QuantSpec(weights={site: rounding() for site in WEIGHT_SITES}))
    assert other.spec.branches == {"bert.pooler.dense": 2}
    assert "bert.pooler.dense.branches.1.weight" in other.tensors
    plain = apply_spec(split, QuantSpec())  # a sum of two full-precision maps
    assert "bert.pooler.dense.branches.1.weight" in plain.tensors
    BertClassifier.from_checkpoint(plain)(batch)


def test_new_branches_cannot_be_requested(checkpoint: Checkpoint, everywhere: QuantSpec) -> None:
    with pytest.raises(UserError, match=r"bert\.pooler\.dense has 1 branches and cannot get 2; use a split stage"):
        apply_spec(checkpoint, everywhere.with_branches({"bert.pooler.dense": 2}))


def test_the_activation_is_kept_unless_the_specification_sets_it(checkpoint: Checkpoint) -> None:
    relu = apply_spec(checkpoint, QuantSpec(activation="relu"))
    assert relu.architecture.activation == "relu"
    assert apply_spec(relu, QuantSpec()).architecture.activation == "relu"
    assert apply_spec(relu, QuantSpec(activation="gelu")).architecture.activation == "gelu"


def test_unchanged_tensors_are_shared_and_built_models_have_copies(
    checkpoint: Checkpoint, rounding: type[Rounding]
) -> None:
    spec = QuantSpec(weights={Site.QUERY: rounding()})
    quantized = apply_spec(checkpoint, spec)
    kept = {name: tensor for name, tensor in quantized.tensors.items() if "quantizer" not in name}
    assert len(kept) == len(checkpoint.tensors)
    assert {tensor.data_ptr() for tensor in kept.values()} == {t.data_ptr() for t in checkpoint.tensors.values()}
    assert not any(tensor.is_meta for tensor in quantized.tensors.values())
    BertClassifier.from_checkpoint(quantized).requires_grad_(False).classifier.weight.fill_(7.0)
    assert not (checkpoint.tensors["classifier.weight"] == 7.0).any()


def test_a_checkpoint_that_lacks_a_weight_is_refused(checkpoint: Checkpoint, rounding: type[Rounding]) -> None:
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name != "bert.pooler.dense.weight"}
    spec = QuantSpec(inputs={site: rounding() for site in LINEAR_SITES})
    with pytest.raises(UserError, match=r"lacks bert\.pooler\.dense\.weight"):
        apply_spec(evolve(checkpoint, tensors=tensors), spec)
