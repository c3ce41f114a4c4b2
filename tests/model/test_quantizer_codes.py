from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from bebertlab.inference.modules import FixedLinear, IntegerLinear
from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
    LINEAR_SITES,
    WEIGHT_SITES,
    Architecture,
    Checkpoint,
    QuantSpec,
    Site,
)
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.quantizer import SIGNS, TERNARY, Codes, Quantizer, QuantizerOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.quantizer_codes import check_activation_codes, check_weight_codes
from bebertlab.model.quantizer_errors import BrokenQuantizer
from bebertlab.model.requantize import apply_spec
from bebertlab.model.spec import quantizable_modules
from bebertlab.registry.manager import load_plugins
from bebertlab_bibert.quantizers import Bool
from bebertlab_binarybert.lsq import Lsq

REGISTRY = load_plugins().registry
ATTENTION = "bert.encoder.layer.1.attention.self"
EXPLAINED = r"; bebertlab\.testing\.check_quantizer, in a test, explains the contract$"


class Ternary(Quantizer):
    """Rounds to -1, 0 and +1, as the contract says."""

    alphabet = TERNARY

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1).round() + 0.0

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=x.clamp(-1, 1).round().to(torch.int8), step=x.new_ones(()), alphabet=self.alphabet)


class Wide(Ternary):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1).round() * 3

    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), levels=super().encode(x).levels * 3)


class Undeclared(Ternary):
    alphabet = SIGNS


class Shifted(Ternary):
    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), step=x.new_tensor(0.75))


class OtherAlphabet(Ternary):
    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), alphabet=SIGNS)


class Floats(Ternary):
    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), levels=super().encode(x).levels.float())


class OneRow(Ternary):
    def encode(self, x: Tensor) -> Codes:
        return super().encode(x[:1])


class DoubleStep(Ternary):
    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), step=torch.ones((), dtype=torch.float64))


class NoCodes(Ternary):
    def encode(self, x: Tensor) -> Codes:
        return x  # type: ignore[return-value] # the error under test


class Fails(Ternary):
    def encode(self, x: Tensor) -> Codes:
        raise NotImplementedError


class TrainingOnly(Ternary):
    """Differs while it trains, which is allowed."""

    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else super().forward(x)


class Unscaled(Shifted):
    """Called by another method than `forward` in attention without softmax."""

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.forward(x), None


@frozen(kw_only=True)
class FactoryOptions(QuantizerOptions):
    kind = "factory"
    make: Callable[[], Quantizer] = field(default=Ternary)

    def build(self, shape: torch.Size) -> Quantizer:
        return self.make()


def model(checkpoint: Checkpoint, **sites: Mapping[Site, QuantizerOptions]) -> BertClassifier:
    return BertClassifier.from_checkpoint(apply_spec(checkpoint, QuantSpec(**sites)))  # type: ignore[arg-type]


def run(checked: BertClassifier, batch: Batch) -> None:
    """One pass of the model that is prepared for inference, as when a stage evaluates it."""
    prepared = prepare(checked)
    with check_activation_codes(checked, prepared.network):
        prepared(batch)


def train(checked: BertClassifier, batch: Batch) -> None:
    """One pass of the model itself, as in the first step of a training."""
    with check_activation_codes(checked.train()):
        checked(batch)


BROKEN = [
    (Wide, r"encode\(\) returns the levels -3, 3, outside of the alphabet -1\.\.1"),
    (Undeclared, r"encode\(\) returns the level 0, outside of the alphabet -1\.\.1 in steps of 2"),
    (Shifted, r"encode\(x\)\.decode\(\) must .*, and differs in \d+ of \d+ elements, by 0\.25 at most"),
    (
        OtherAlphabet,
        r"encode\(\) returns codes of the alphabet -1\.\.1 in steps of 2, but the quantizer declares the alphabet"
        r" -1\.\.1",
    ),
    (Floats, r"encode\(\) returns levels of torch\.float32, which is no integer dtype"),
    (OneRow, r"encode\(\) returns levels of the shape \(1, .*\), decoded .*; forward\(\) a tensor of the shape .*"),
    (DoubleStep, r"encode\(x\)\.decode\(\) is of torch\.float64, forward\(x\) of torch\.float32"),
    (NoCodes, r"encode\(\) must return Codes, returns a Tensor"),
    (Fails, r"comparing encode\(x\) with forward\(x\): NotImplementedError"),
]


@pytest.mark.parametrize(("make", "violation"), BROKEN)
def test_each_way_to_break_the_contract_is_named_for_weights(
    checkpoint: Checkpoint, make: type[Quantizer], violation: str
) -> None:
    spread = evolve(checkpoint, tensors={name: 5 * tensor for name, tensor in checkpoint.tensors.items()})
    broken = model(spread, weights={Site.KEY: FactoryOptions(make=make)})
    start = r"quantizer 'factory' \(weights\.key, bert\.encoder\.layer\.0\.attention\.self\.key\.branches\.0\.weight_"
    with pytest.raises(BrokenQuantizer, match=rf"^{start}quantizer\): {violation}{EXPLAINED}"):
        check_weight_codes(broken)


@pytest.mark.parametrize(("make", "violation"), BROKEN)
def test_each_way_to_break_the_contract_is_named_for_activations(
    checkpoint: Checkpoint, batch: Batch, make: type[Quantizer], violation: str
) -> None:
    broken = model(checkpoint, inputs={Site.FFN_UP: FactoryOptions(make=make)})
    start = r"quantizer 'factory' \(inputs\.ffn_up, bert\.encoder\.layer\.0\.intermediate\.dense\.branches\.0\.input_"
    with pytest.raises(BrokenQuantizer, match=rf"^{start}quantizer\): {violation}{EXPLAINED}"):
        run(broken, batch)


@pytest.mark.parametrize("site", WEIGHT_SITES)
def test_the_second_branch_of_every_weight_is_checked(sizes: Architecture, site: Site) -> None:
    spec = QuantSpec(weights={site: FactoryOptions()}).with_branches(
        {path: 2 for path, at in quantizable_modules(sizes).items() if at is site}
    )
    two = BertClassifier(sizes, spec)
    check_weight_codes(two)
    path = [path for path, at in quantizable_modules(sizes).items() if at is site][-1]
    branch: Any = two.get_submodule(f"{path}.branches.1")
    branch.weight_quantizer = Shifted()
    with torch.no_grad():
        branch.weight[0, 0] = 1.0
    with pytest.raises(BrokenQuantizer, match=rf"\(weights\.{site}, {path}\.branches\.1\.weight_quantizer\).* in 1 of"):
        check_weight_codes(two)


@pytest.mark.parametrize("site", LINEAR_SITES)
def test_the_inputs_of_the_second_branch_of_every_linear_map_are_checked(
    sizes: Architecture, batch: Batch, site: Site
) -> None:
    paths = {path: 2 for path, at in quantizable_modules(sizes).items() if at is site}
    two = BertClassifier(sizes, QuantSpec(inputs={site: FactoryOptions()}).with_branches(paths))
    with torch.no_grad():
        for parameter in two.parameters():
            parameter.fill_(1.0)
    run(two, batch)
    path = [*paths][-1]
    branch: Any = two.get_submodule(f"{path}.branches.1")
    branch.input_quantizer = Shifted()
    with pytest.raises(BrokenQuantizer, match=rf"\(inputs\.{site}, {path}\.branches\.1\.input_quantizer\)"):
        run(two, batch)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("site", ATTENTION_SITES)
def test_the_activations_in_attention_are_checked(
    checkpoint: Checkpoint, batch: Batch, site: Site, training: bool
) -> None:
    broken = model(checkpoint, attention={site: FactoryOptions(), **dict.fromkeys(ATTENTION_SITES, FactoryOptions())})
    attention: Any = broken.get_submodule(ATTENTION)
    attention.quantizers[site] = Shifted()
    with pytest.raises(BrokenQuantizer, match=rf"\(attention\.{site}, {ATTENTION}\.quantizers\.{site}\): encode\(x\)"):
        (train if training else run)(broken, batch)


def test_quantizers_that_attention_does_not_call_by_forward_are_checked(checkpoint: Checkpoint, batch: Batch) -> None:
    sites = {Site.ATTENTION_PROBABILITIES: Bool(), Site.ATTENTION_KEY: FactoryOptions(make=Unscaled)}
    spec = QuantSpec(attention=sites, softmax=False)
    with pytest.raises(BrokenQuantizer, match=r"\(attention\.attention_key, .*differs"):
        run(BertClassifier.from_checkpoint(apply_spec(checkpoint, spec)), batch)


@pytest.mark.parametrize(("quantized", "kind"), [(False, FixedLinear), (True, IntegerLinear)])
def test_prepared_models_are_checked_with_float_and_integer_weights(
    sizes: Architecture, batch: Batch, quantized: bool, kind: type
) -> None:
    spec = QuantSpec(
        weights={Site.FFN_UP: FactoryOptions()} if quantized else {}, inputs={Site.FFN_UP: FactoryOptions(make=Shifted)}
    )
    broken = BertClassifier.from_checkpoint(apply_spec(random_checkpoint(sizes, seed=0, spread=0.3), spec))
    assert isinstance(prepare(broken).network.get_submodule("bert.encoder.layer.0.intermediate.dense"), kind)
    with pytest.raises(BrokenQuantizer, match=r"\(inputs\.ffn_up, "):
        run(broken, batch)


def test_only_the_first_examples_of_the_first_input_are_checked(
    checkpoint: Checkpoint, make_batch: Callable[[int, int], Batch]
) -> None:
    batch = make_batch(100, 12)
    checked = model(checkpoint, inputs={Site.FFN_UP: FactoryOptions()})
    encoded: list[torch.Size] = []

    class Counts(Ternary):
        def encode(self, x: Tensor) -> Codes:
            encoded.append(x.shape)
            return super().encode(x)

    for module in checked.modules():
        if getattr(module, "input_quantizer", None) is not None:
            module.input_quantizer = Counts()
    prepared = prepare(checked)
    with check_activation_codes(checked, prepared.network):
        prepared(batch)
        prepared(batch)
    assert encoded == [torch.Size([85, 12, 16])] * checked.architecture.layers  # 2^14 elements


def test_checks_leave_the_model_unchanged(checkpoint: Checkpoint, batch: Batch) -> None:
    lsq = Lsq()
    quantized = model(
        checkpoint,
        weights=dict.fromkeys(WEIGHT_SITES, lsq),
        inputs=dict.fromkeys(LINEAR_SITES, lsq),
        attention={Site.ATTENTION_QUERY: lsq, Site.ATTENTION_PROBABILITIES: lsq},
    ).train()
    before = {name: tensor.clone() for name, tensor in quantized.state_dict().items()}
    prepared = prepare(quantized)
    check_weight_codes(quantized)
    with check_activation_codes(quantized, prepared.network):
        prepared(batch)
    with check_activation_codes(quantized):
        pass
    assert all(torch.equal(tensor, before[name]) for name, tensor in quantized.state_dict().items())
    assert all(module.training for module in quantized.modules())
    networks = quantized, prepared.network
    assert not any(m._forward_hooks or m._forward_pre_hooks for network in networks for m in network.modules())


def test_a_quantizer_is_checked_in_evaluation_mode_and_full_precision(checkpoint: Checkpoint, batch: Batch) -> None:
    sites = {Site.FFN_DOWN: FactoryOptions(make=TrainingOnly)}
    quantized = model(checkpoint, weights=sites, inputs=sites).train()
    check_weight_codes(quantized)
    with torch.autocast("cpu", dtype=torch.bfloat16), check_activation_codes(quantized):
        quantized(batch)


def test_values_that_are_not_finite_are_no_error_of_a_quantizer(checkpoint: Checkpoint, batch: Batch) -> None:
    diverged = model(checkpoint, weights={Site.KEY: FactoryOptions()}, inputs={Site.KEY: FactoryOptions()})
    with torch.no_grad():
        for parameter in diverged.parameters():
            parameter.view(-1)[::3] = torch.nan
    check_weight_codes(diverged)
    run(diverged, batch)


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("kind", REGISTRY.kinds("scheme"))
def test_the_quantizers_of_every_scheme_pass(sizes: Architecture, batch: Batch, kind: str, published: bool) -> None:
    scheme: Any = REGISTRY.find("scheme", kind)()
    if published:
        options = [name for name in attrs.fields_dict(type(scheme)) if name.endswith("as_published")]
        scheme = evolve(scheme, **dict.fromkeys(options, True))
    tensors = random_checkpoint(sizes, seed=0, spread=0.3)
    tensors.tensors["bert.encoder.layer.0.output.dense.weight"][:, :5] = 0.0  # zeros are a third sign as published
    quantized = BertClassifier.from_checkpoint(apply_spec(tensors, scheme.spec())).train()
    with check_activation_codes(quantized):
        quantized(batch)  # sets what the first batch sets
    check_weight_codes(quantized)
    run(quantized, batch)
