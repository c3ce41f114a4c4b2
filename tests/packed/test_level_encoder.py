"""Generated code between products gives the logits of the trained twin, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.config.codec import OptionsCodec
from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.requantize import apply_spec
from bebertlab.model.spec import quantizable_modules
from bebertlab.packed.level_encoder import LevelEncoder
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed
from bebertlab_binarybert.uniform import Uniform
from tests.packed.conftest import batch

pytest.importorskip("llvmlite")

LONGEST = 40
#: hidden size, heads, size of a head, feed-forward size; matrices of the large one are multiplied in int8
SIZES = {"even": (64, 2, 32, 96), "odd": (50, 3, 7, 70), "large": (256, 4, 64, 256)}
Build = Callable[..., BertClassifier]
Load = Callable[..., PackedModel]


@pytest.fixture
def build() -> Build:
    """A model of trained-looking parameters: an outlier channel, biases, quantizers of different steps."""

    def make(spec: QuantSpec, sizes: str = "odd", *, branches: int = 1, trained: bool = True) -> BertClassifier:
        hidden, heads, head_size, ffn = SIZES[sizes]
        architecture = Architecture(
            vocabulary=23,
            positions=LONGEST,
            hidden=hidden,
            heads=heads,
            head_size=head_size,
            ffn=ffn,
            layers=2,
            classes=2,
        )
        if branches > 1:
            spec = spec.with_branches(dict.fromkeys(quantizable_modules(architecture), branches))
        model = BertClassifier(architecture, spec)
        if branches == 1:
            checkpoint = random_checkpoint(architecture, seed=0, spread=0.3)
            model = BertClassifier.from_checkpoint(apply_spec(checkpoint, spec))
        _fill(model, trained=trained)
        return model.eval()

    return make


def _fill(model: BertClassifier, *, trained: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    of_quantizers = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, Quantizer)
        for parameter in module.parameters()
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if id(parameter) in of_quantizers:
                continue
            if name.endswith("LayerNorm.weight"):
                parameter.fill_(1.0)[2] = 4.0
            elif name.endswith("bias"):
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
            else:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        torch.manual_seed(2)  # of dropout
        model.train()(batch(12, 30, 7))
        if trained:
            for parameter in model.parameters():
                if id(parameter) in of_quantizers:
                    parameter.mul_(1 + 0.3 * torch.rand(parameter.shape, generator=generator))
                    if parameter.ndim and parameter.shape[0] > 2:  # a shift
                        parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture
def load(pack: Callable[..., Path], codec: OptionsCodec) -> Load:
    def read(model: BertClassifier, name: str = "packed", **options: Any) -> PackedModel:  # noqa: ANN401
        return PackedModel.of(read_packed(pack(model, name=name), codec), kernels=True, **options)

    return read


BATCHES = [batch(1), batch(16), batch(LONGEST), batch(5, LONGEST, 1), batch(*range(3, 11), seed=2)]


def check_same(packed: PackedModel, model: BertClassifier, batches: Iterable[Batch] = BATCHES) -> list[Tensor]:
    """The logits, which the packed model and the twin of the trained one give."""
    assert packed.choices[0]["bert.encoder"].product == "rows"
    twin, answers = prepare(model), []
    for inputs in batches:
        answers.append(packed.logits(inputs))
        assert answers[-1].isfinite().all()
        assert torch.equal(answers[-1], twin(inputs).logits)
    return answers


SCHEMES: list[dict[str, Any]] = [
    {"kind": "binarybert", "activation_bits": 8},
    {"kind": "binarybert", "activation_bits": 4},
    {"kind": "binarybert", "activation_bits": 4, "symmetric": False},
    {"kind": "binarybert", "activation_bits": 8, "one_sided_symmetric": True, "activation": "relu"},
    {"kind": "binarybert", "weight_bits": 8, "activation_bits": 8},
    {"kind": "binarybert", "activation_granularity": "row"},
    {"kind": "ternarybert"},
    {"kind": "bit", "activation_bits": 2},
    {"kind": "bit", "activation_bits": 4, "quantize_probabilities": False},
    {"kind": "pact"},
    {"kind": "dorefa"},
    {"kind": "bitnet"},
    {"kind": "xnor"},
]


def _named(scheme: dict[str, Any]) -> str:
    return "-".join(map(str, scheme.values()))


@pytest.mark.parametrize("scheme", SCHEMES, ids=_named)
def test_generated_code_answers_as_the_trained_model(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec], scheme: dict[str, Any]
) -> None:
    model = build(scheme_spec(**scheme))
    answers = check_same(load(model), model)
    assert not torch.equal(answers[0], answers[1])


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("sizes", ["even", "large"])
@pytest.mark.parametrize("scheme", SCHEMES[:2], ids=_named)
def test_branches_and_sizes(
    build: Build,
    load: Load,
    scheme_spec: Callable[..., QuantSpec],
    scheme: dict[str, Any],
    sizes: str,
    trained: bool,
) -> None:
    model = build(scheme_spec(**scheme), sizes, branches=2, trained=trained)
    check_same(load(model), model)


def test_a_model_whose_matrices_are_unpacked_for_each_product(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec]
) -> None:
    model = build(scheme_spec("binarybert"), branches=2)
    check_same(load(model, unpacking="each"), model)


@pytest.mark.parametrize("site", [Site.QUERY, Site.ATTENTION_OUTPUT, Site.FFN_UP, Site.FFN_DOWN])
def test_a_linear_map_in_full_precision(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec], site: Site
) -> None:
    spec = scheme_spec("binarybert")
    weights, inputs = dict(spec.weights), dict(spec.inputs)
    del weights[site], inputs[site]
    model = build(evolve(spec, weights=weights, inputs=inputs))
    check_same(load(model), model)


@pytest.mark.parametrize(
    "site", [Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE, Site.ATTENTION_PROBABILITIES]
)
def test_attention_that_has_no_levels_or_an_offset(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec], site: Site
) -> None:
    spec = scheme_spec("binarybert")
    attention = dict(spec.attention)
    del attention[site]
    for other in (
        attention,
        {**spec.attention, site: Uniform(symmetric=False)},
        {**spec.attention, site: Uniform(bits=16)},
    ):
        model = build(evolve(spec, attention=other))
        check_same(
            load(model, name=f"packed-{len(other)}-{other.get(site)}"[:40].replace("/", "")), model, BATCHES[2:4]
        )


def test_values_that_are_not_finite_are_computed_by_quantizers(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec]
) -> None:
    model = build(scheme_spec("binarybert", activation_bits=4))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "intermediate" in name and name.endswith("bias"):
                parameter[0] = 3e38
            if "layer.0.output" in name and name.endswith("step"):
                parameter.fill_(3e38)
    packed, twin = load(model), prepare(model)
    for inputs in BATCHES:
        assert torch.equal(packed.logits(inputs).nan_to_num(7.0), twin(inputs).logits.nan_to_num(7.0))


def test_threads_share_a_model(build: Build, load: Load, scheme_spec: Callable[..., QuantSpec]) -> None:
    model = build(scheme_spec("binarybert"), "even")
    packed = load(model)
    expected = check_same(packed, model)
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: [packed.logits(inputs) for inputs in BATCHES], range(16)):
            assert all(map(torch.equal, answers, expected))


def test_answers_are_not_overwritten_by_the_next(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec]
) -> None:
    packed = load(build(scheme_spec("binarybert")))
    encoder = packed.members[0].network.get_submodule("bert.encoder")
    assert isinstance(encoder, LevelEncoder)
    hidden, mask = torch.randn(1, 9, 50, generator=torch.Generator().manual_seed(3)), torch.zeros(1, 1, 1, 9)
    with torch.no_grad():
        first = encoder(hidden, mask, {})
        kept = first.clone()
        encoder(-hidden, mask, {})
    assert torch.equal(first, kept)


def test_taps_dropout_and_empty_batches_are_computed_by_the_modules(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec]
) -> None:
    model = build(scheme_spec("binarybert"), branches=2)
    packed, twin, inputs = load(model).members[0], prepare(model), batch(4, 9)
    taps = frozenset({Tap.HIDDEN, Tap.SCORES})
    outputs, expected = packed(inputs, taps), twin(inputs, taps)
    for tap in taps:
        assert all(map(torch.equal, outputs.taps[tap], expected.taps[tap]))
    answers = []
    for computes in (packed, twin):
        torch.manual_seed(3)
        answers.append(computes.with_dropout()(inputs).logits)
    assert torch.equal(*answers)
    assert not torch.equal(answers[0], packed(inputs).logits)


def test_models_without_quantized_activations_are_computed_by_modules(
    build: Build, load: Load, scheme_spec: Callable[..., QuantSpec]
) -> None:
    choice = load(build(scheme_spec("binarybert", activation_bits=32))).choices[0]["bert.encoder"]
    assert choice.product == "modules"
    assert "activations are not quantized" in choice.reason
