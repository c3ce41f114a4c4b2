from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from bebertlab.errors import UserError
from bebertlab.inference import integers
from bebertlab.inference.modules import CastLinear, FixedLinear, IntegerLinear
from bebertlab.inference.prepare import InferenceModel, prepare
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.requantize import apply_spec
from bebertlab.model.slice import SubNetwork
from bebertlab_bibert.schemes import BibertScheme
from bebertlab_binarybert.bwn import Bwn, BwnQuantizer
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.schemes import BinaryBert, TernaryBert
from bebertlab_binarybert.uniform import Uniform
from bebertlab_bit.scheme import Bit

if TYPE_CHECKING:
    from tests.model.conftest import Rounding

UP = "bert.encoder.layer.0.intermediate.dense"


def weight_calls(model: BertClassifier) -> int:
    quantizers: list[Any] = [m for name, m in model.named_modules() if name.endswith("weight_quantizer")]
    return sum(len(quantizer.calls) for quantizer in quantizers)


@pytest.mark.parametrize("which", ["checkpoint", "quantized", "split"])
@pytest.mark.parametrize("taps", [frozenset[Tap](), frozenset({Tap.HIDDEN, Tap.VALUE_SIMILARITY})])
def test_logits_and_taps_are_those_of_the_model(
    which: str, taps: frozenset[Tap], request: pytest.FixtureRequest, batch: Batch
) -> None:
    model = BertClassifier.from_checkpoint(request.getfixturevalue(which)).eval()
    with torch.no_grad():  # with gradients attention takes another kernel
        expected = model(batch, taps)
    outputs = prepare(model)(batch, taps)
    if which == "checkpoint":
        assert torch.equal(outputs.logits, expected.logits)
    else:  # sums of integers are scaled afterwards
        torch.testing.assert_close(outputs.logits, expected.logits)
    assert outputs.taps.keys() == taps
    for tap in taps:
        torch.testing.assert_close(outputs.taps[tap], expected.taps[tap])
    assert not outputs.logits.requires_grad


def test_weights_are_quantized_once(quantized: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(quantized).eval()
    model(batch)
    once = weight_calls(model)
    prepared = prepare(model)
    assert weight_calls(model) == 2 * once
    prepared(batch)
    assert weight_calls(model) == 2 * once


def test_the_prepared_model_leaves_the_original_unchanged_and_trainable(quantized: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(quantized).train()
    modules, names = [*model.modules()], [*model.state_dict()]
    first, second = prepare(model), prepare(model, "bf16")  # any number of them at once
    assert torch.equal(first(batch).logits, first(batch).logits)
    assert second(batch).logits.dtype == torch.float32
    assert [*model.modules()] == modules
    assert [*model.state_dict()] == names
    assert all(module.training for module in model.modules())
    model(batch).logits.sum().backward()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.get_parameter("bert.pooler.dense.branches.0.weight").grad is not None
    with torch.no_grad():
        before = model.eval()(batch).logits
        for parameter in model.parameters():
            parameter.mul_(1.5)
    assert not torch.equal(prepare(model)(batch).logits, before)


def test_hooks_on_the_twin_do_not_reach_the_model(checkpoint: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(checkpoint).eval()
    prepared = prepare(model)
    calls: list[int] = []
    prepared.network.get_submodule("bert.pooler").register_forward_hook(lambda *_: calls.append(1))
    model(batch)
    assert not calls
    prepared(batch)
    assert calls == [1]


def test_dropout_can_be_added_and_leaves_the_prepared_model_alone(quantized: Checkpoint, batch: Batch) -> None:
    sizes = evolve(quantized.architecture, dropout=0.5)
    prepared = prepare(BertClassifier.from_checkpoint(evolve(quantized, architecture=sizes)))
    expected = prepared(batch).logits
    noisy = prepared.with_dropout()
    assert not torch.equal(noisy(batch).logits, noisy(batch).logits)
    assert torch.equal(prepared(batch).logits, expected)


def test_a_sub_network_is_prepared_with_slices_of_the_whole(checkpoint: Checkpoint, batch: Batch) -> None:
    whole = BertClassifier.from_checkpoint(checkpoint).eval()
    part = SubNetwork(whole, width=2 / 3, depth=0.5).eval()
    with torch.no_grad():
        expected = part(batch).logits
    assert torch.equal(prepare(part)(batch).logits, expected)
    cast = prepare(part, "bf16")
    torch.testing.assert_close(cast(batch).logits, expected, rtol=0.1, atol=0.1)
    assert cast.architecture == part.architecture


@pytest.fixture
def wide(sizes: Architecture, batch: Batch) -> BertClassifier:
    """A model whose feed-forward weights and pooler are large enough for int8."""
    spec = QuantSpec(
        weights={Site.FFN_UP: Bwn(), Site.POOLER: Bwn()}, inputs={Site.FFN_UP: Uniform(), Site.POOLER: Lsq()}
    )
    large = random_checkpoint(evolve(sizes, hidden=256, ffn=256), seed=0, spread=0.3)
    model = BertClassifier.from_checkpoint(apply_spec(large, spec))
    model.train()(batch)  # sets the step of the pooler's input
    return model.eval()


def linear(prepared: InferenceModel, path: str = UP) -> nn.Module:
    return prepared.network.get_submodule(path)


def test_products_of_few_levels_are_of_integers(wide: BertClassifier, batch: Batch) -> None:
    expected, prepared = wide(batch).logits, prepare(wide)
    assert isinstance(linear(prepared), IntegerLinear)
    torch.testing.assert_close(prepared(batch).logits, expected, rtol=1e-4, atol=1e-4)
    assert isinstance(linear(prepare(wide, "bf16")), FixedLinear)
    assert isinstance(linear(prepare(wide, "bf16"), "classifier"), CastLinear)


SCHEMES = [BinaryBert(), BinaryBert(activation_bits=4), TernaryBert(), BibertScheme(), Bit()]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{scheme.kind}-{getattr(scheme, 'activation_bits', 1)}")
def test_a_quantized_model_gives_the_same_bits_with_any_product(
    scheme: SchemeOptions, sizes: Architecture, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = random_checkpoint(evolve(sizes, hidden=192, heads=3, head_size=64, ffn=384), seed=0, spread=0.3)
    model = BertClassifier.from_checkpoint(apply_spec(large, scheme.spec()))
    model.train()(batch)  # sets steps
    logits = prepare(model)(batch).logits
    monkeypatch.setattr(integers, "exact_products", lambda: False)  # float products instead of int8
    assert torch.equal(prepare(model)(batch).logits, logits)


def test_a_sentence_gets_the_same_bits_alone_and_in_a_batch(sizes: Architecture, batch: Batch) -> None:
    large = random_checkpoint(evolve(sizes, hidden=192, heads=3, head_size=64, ffn=384), seed=0, spread=0.3)
    prepared = prepare(BertClassifier.from_checkpoint(apply_spec(large, BibertScheme().spec())))
    together = prepared(batch).logits
    for row, length in enumerate(batch.mask.sum(-1)):
        alone = Batch(
            positions=batch.positions[row : row + 1],
            tokens=batch.tokens[row : row + 1, :length],
            segments=batch.segments[row : row + 1, :length],
            mask=batch.mask[row : row + 1, :length],
            labels=batch.labels[row : row + 1],
        )
        assert torch.equal(prepared(alone).logits[0], together[row])


@pytest.mark.parametrize(
    "broken", ["bert.embeddings.LayerNorm.weight", "bert.encoder.layer.1.intermediate.dense.branches.0.weight"]
)
def test_a_model_with_nan_outputs_nan(wide: BertClassifier, batch: Batch, broken: str) -> None:
    with torch.no_grad():
        wide.get_parameter(broken).view(-1)[0] = torch.nan
    assert prepare(wide)(batch).logits.isnan().all()


def test_row_wise_embeddings_quantize_the_rows_of_the_batch(
    quantized: Checkpoint, everywhere: QuantSpec, rounding: type[Rounding], batch: Batch
) -> None:
    spec = evolve(everywhere, weights={**everywhere.weights, Site.WORD_EMBEDDING: rounding(rows=True)})
    model = BertClassifier.from_checkpoint(apply_spec(quantized, spec)).eval()
    quantizer: Any = model.get_submodule("bert.embeddings.word_embeddings.branches.0.weight_quantizer")
    prepare(model)(batch)
    assert quantizer.calls == [(batch.tokens.numel(), model.architecture.hidden)]


@frozen(kw_only=True)
class Fails(QuantizerOptions):
    """Binary weights that cannot be computed."""

    kind = "fails"

    def build(self, shape: torch.Size) -> FailingQuantizer:
        return FailingQuantizer("tensor")


class FailingQuantizer(BwnQuantizer):
    def forward(self, x: Tensor) -> Tensor:
        raise IndexError("no such level")


@pytest.mark.parametrize("field", ["weights", "inputs"])
def test_an_error_in_a_quantizer_names_it_and_its_path(checkpoint: Checkpoint, field: str, batch: Batch) -> None:
    quantizers: dict[str, Any] = {field: {Site.FFN_UP: Fails()}}
    model = BertClassifier.from_checkpoint(apply_spec(checkpoint, QuantSpec(**quantizers)))
    with pytest.raises(UserError, match=rf"^quantizer 'fails' \({field}\.ffn_up, {UP}\..*\): IndexError: no such") as e:
        prepare(model)(batch)
    assert isinstance(e.value.__cause__, IndexError)
