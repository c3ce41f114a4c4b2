"""Generated code gives the logits of the modules that it replaces, to the last bit."""

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
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.kernels.compiler import load_kernels
from bebertlab.kernels.target import kernel_target
from bebertlab.model.attention import additive_mask
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.requantize import apply_spec
from bebertlab.packed.encoder import PackedEncoder
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_baselines import React
from bebertlab_bibert import Bibert, Bool, Sign
from bebertlab_binarybert.uniform import Uniform
from bebertlab_bit import Elastic
from tests.packed.conftest import batch

pytest.importorskip("llvmlite")

LONGEST = 70
SIZES = {"words": (192, 3, 64, 384), "odd": (50, 4, 9, 70), "one head": (64, 1, 64, 128)}
Build = Callable[..., BertClassifier]
Load = Callable[..., tuple[PackedModel, PackedModel]]


@pytest.fixture
def bibert_spec(scheme_spec: Callable[..., QuantSpec]) -> QuantSpec:
    return scheme_spec("bibert")


@pytest.fixture
def build() -> Build:
    """A model of given sizes with trained-looking parameters: outlier channels, biases, a row of zeros."""

    def make(spec: QuantSpec, sizes: str = "odd", seed: int = 0) -> BertClassifier:
        hidden, heads, head_size, ffn = SIZES[sizes]
        architecture = Architecture(
            vocabulary=23,
            positions=LONGEST,
            hidden=hidden,
            heads=heads,
            head_size=head_size,
            ffn=ffn,
            layers=3,
            classes=2,
        )
        checkpoint = random_checkpoint(architecture, seed=seed, spread=0.3)
        model = BertClassifier.from_checkpoint(apply_spec(checkpoint, spec)).eval()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("LayerNorm.weight"):
                    parameter[2] = 30.0
                elif name.endswith("bias"):
                    parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
                elif "query" in name and parameter.ndim == 2:
                    parameter[1] = 0.0
        return model

    return make


@pytest.fixture
def load(pack: Callable[..., Path], codec: OptionsCodec) -> Load:
    """A packed model with generated code, and one without it."""

    def read(model: BertClassifier, name: str = "packed") -> tuple[PackedModel, PackedModel]:
        file = read_packed(pack(model, name=name), codec)
        return PackedModel.of(file, kernels=True), PackedModel.of(file, kernels=False)

    return read


BATCHES = [batch(1), batch(16), batch(17), batch(LONGEST), batch(5, LONGEST, 1, 33, 2, seed=1), batch(9, 9, 9, seed=2)]


def product(model: PackedModel) -> str:
    return model.choices[0]["bert.encoder"].product


def check_same(models: tuple[PackedModel, PackedModel], batches: Iterable[Batch] = BATCHES) -> list[Tensor]:
    """The logits, which both models give."""
    generated, modules = models
    assert product(generated) == "signs"
    assert product(modules) == "modules"
    answers = []
    for inputs in batches:
        answers.append(generated.logits(inputs))
        assert answers[-1].isfinite().all()
        assert torch.equal(answers[-1], modules.logits(inputs))
        states = first_states(generated, inputs)
        assert torch.equal(states, first_states(modules, inputs))
        assert len({*map(tuple, states.tolist())}) >= min(2, len(inputs.tokens))
    return answers


@torch.no_grad()
def first_states(model: PackedModel, inputs: Batch) -> Tensor:
    """The last hidden state of the first token of each sentence, in which no difference is lost."""
    network: Any = model.members[0].network
    hidden = network.bert.embeddings(inputs.tokens, inputs.segments)
    states: Tensor = network.bert.encoder(hidden, additive_mask(inputs.mask, hidden.dtype), {})[:, 0]
    return states


@pytest.mark.parametrize("sizes", SIZES)
def test_generated_code_answers_as_the_modules(build: Build, load: Load, bibert_spec: QuantSpec, sizes: str) -> None:
    answers = check_same(load(build(bibert_spec, sizes)))
    assert not torch.equal(answers[0], answers[1])


def test_a_sentence_is_answered_alone_as_in_a_batch(build: Build, load: Load, bibert_spec: QuantSpec) -> None:
    generated, _ = load(build(bibert_spec))
    together = batch(5, LONGEST, 1, 33, 2)
    for index, length in enumerate((5, LONGEST, 1, 33, 2)):
        part = (slice(index, index + 1), slice(length))
        tokens, segments, mask = together.tokens[part], together.segments[part], together.mask[part]
        alone = evolve(batch(length), tokens=tokens, segments=segments, mask=mask)
        assert torch.equal(generated.logits(alone)[0], generated.logits(together)[index])


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_share_a_model(build: Build, load: Load, bibert_spec: QuantSpec, threads: int) -> None:
    models = load(build(bibert_spec))
    expected = check_same(models)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with ThreadPoolExecutor(8) as pool:
            for answers in pool.map(lambda _: [models[0].logits(inputs) for inputs in BATCHES], range(16)):
                assert all(map(torch.equal, answers, expected))
    finally:
        torch.set_num_threads(before)


def test_an_activation_whose_signs_are_all_one(build: Build, load: Load, bibert_spec: QuantSpec) -> None:
    check_same(load(build(evolve(bibert_spec, activation="relu"))))


def test_keys_of_score_zero_may_be_selected(build: Build, load: Load, bibert_spec: QuantSpec) -> None:
    selecting = {**bibert_spec.attention, Site.ATTENTION_PROBABILITIES: Bool(as_in_paper=True)}
    answers = check_same(load(build(evolve(bibert_spec, attention=selecting), "words")))
    others = check_same(load(build(bibert_spec, "words"), name="others"))
    assert not all(map(torch.equal, answers, others))


_QKV = (Site.QUERY, Site.KEY, Site.VALUE)
_ATTENTION = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE)


def _set_quantizers(model: BertClassifier, step: float = 0.75, probability: float = 0.06) -> None:
    """Steps and shifts of trained quantizers, which all differ."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for path, module in model.named_modules():
            if not isinstance(module, Quantizer) or path.endswith("weight_quantizer"):
                continue
            for name, parameter in module.named_parameters():
                if name == "scale":
                    parameter.fill_(step * (1 + 0.2 * float(torch.rand((), generator=generator))))
                    if path.endswith(Site.ATTENTION_PROBABILITIES):
                        parameter.fill_(probability)
                    module.get_buffer("initialised").fill_(True)
                else:
                    parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("shifted", [Elastic(shift=True), React()])
def test_learned_steps_and_shifts(build: Build, load: Load, bibert_spec: QuantSpec, shifted: Elastic | React) -> None:
    model = build(evolve(bibert_spec, inputs=dict.fromkeys(bibert_spec.inputs, shifted)))
    _set_quantizers(model)
    check_same(load(model))


@pytest.mark.parametrize("site", _ATTENTION)
def test_learned_steps_and_shifts_of_attention(build: Build, load: Load, bibert_spec: QuantSpec, site: Site) -> None:
    attention = {**bibert_spec.attention, **dict.fromkeys(_ATTENTION, React()), site: Elastic(shift=True)}
    model = build(evolve(bibert_spec, attention=attention))
    _set_quantizers(model)
    check_same(load(model))


@pytest.fixture
def bit_spec(scheme_spec: Callable[..., QuantSpec]) -> QuantSpec:
    return scheme_spec("bit")


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("step", [0.02, 0.75, 3.0])
def test_a_softmax(build: Build, load: Load, bit_spec: QuantSpec, sizes: str, step: float) -> None:
    model = build(bit_spec, sizes)
    _set_quantizers(model, step)
    answers = check_same(load(model))
    assert len({tuple(answer.flatten().tolist()) for answer in answers}) > 1


@pytest.mark.parametrize("probability", [1e-5, 0.5, 1.99, 2.0])
def test_keys_of_any_probability(build: Build, load: Load, bit_spec: QuantSpec, probability: float) -> None:
    model = build(bit_spec)
    _set_quantizers(model, probability=probability)
    check_same(load(model))


def test_a_softmax_of_options_that_are_not_published(build: Build, load: Load, bit_spec: QuantSpec) -> None:
    attention = {**bit_spec.attention, **dict.fromkeys(_ATTENTION, Elastic(shift=True))}
    inputs = {**bit_spec.inputs, Site.FFN_DOWN: Elastic(shift=True)}
    for number, activation in enumerate(("relu", "gelu")):
        model = build(evolve(bit_spec, attention=attention, inputs=inputs, activation=activation))
        _set_quantizers(model)
        check_same(load(model, name=str(number)))


@pytest.mark.parametrize("lengths", [(3,), (13,), (14, 15), (5, 1), (13, 20)])
def test_a_softmax_has_rows_of_the_padded_length(
    build: Build, load: Load, bit_spec: QuantSpec, lengths: tuple[int, ...]
) -> None:
    """torch adds the numbers of a short row in another order than those of a long one."""
    model = build(bit_spec, "words")
    _set_quantizers(model, step=1.5)
    check_same(load(model), [batch(*lengths, seed=seed) for seed in range(6)])


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_share_a_softmax(build: Build, load: Load, bit_spec: QuantSpec, threads: int) -> None:
    model = build(bit_spec)
    _set_quantizers(model)
    models = load(model)
    expected = check_same(models)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with ThreadPoolExecutor(4) as pool:
            for answers in pool.map(lambda _: [models[0].logits(inputs) for inputs in BATCHES], range(8)):
                assert all(map(torch.equal, answers, expected))
    finally:
        torch.set_num_threads(before)


def _spec_of(spec: QuantSpec, change: str) -> QuantSpec:
    """A specification that generated code does not compute."""
    probabilities = Site.ATTENTION_PROBABILITIES
    match change:
        case "softmax":
            return evolve(spec, softmax=True, attention={**spec.attention, probabilities: Bool(as_in_paper=True)})
        case "scaled":
            return evolve(spec, attention={**spec.attention, Site.ATTENTION_VALUE: Sign(scaled=True)})
        case "steps":
            steps = dict.fromkeys((Site.ATTENTION_QUERY, Site.ATTENTION_KEY), Elastic())
            return evolve(spec, attention={**spec.attention, **steps})
        case "border":
            return evolve(spec, attention={**spec.attention, probabilities: Elastic(signed=False)})
        case "attention":
            return evolve(spec, attention={probabilities: Bool()})
        case "third level":
            return evolve(spec, inputs={**spec.inputs, Site.FFN_UP: Sign(as_published=True)})
        case "zero and one":
            return evolve(spec, inputs={**spec.inputs, Site.FFN_UP: Elastic(signed=False)})
        case "weights":
            return evolve(spec, weights={**spec.weights, Site.VALUE: Bibert(as_published=True)})
        case "bits":
            return evolve(spec, inputs={**spec.inputs, Site.FFN_DOWN: Uniform(bits=4)})
        case "full precision":
            weights, inputs = dict(spec.weights), dict(spec.inputs)
            del weights[Site.FFN_UP], inputs[Site.FFN_UP]
            return evolve(spec, weights=weights, inputs=inputs)
    raise AssertionError(change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("softmax", "selects keys of probability 0"),
        ("scaled", "attention.attention_value is not quantized by a comparison"),
        ("steps", "queries and keys have steps, and attention has no softmax"),
        ("border", "attention.attention_probabilities has a border or a step"),
        ("attention", "attention.attention_query is not quantized"),
        ("third level", "an input of a linear map is not quantized by a comparison to -1 and 1 or 0 and 1"),
        ("zero and one", "an input of a linear map has the low level for zero"),
        ("weights", "weights of a linear map are not -1 and +1"),
        ("bits", "an input of a linear map is not quantized"),
        ("full precision", "a linear map is not quantized"),
    ],
)
def test_other_models_are_computed_by_modules(
    build: Build, load: Load, bibert_spec: QuantSpec, change: str, reason: str
) -> None:
    model = build(_spec_of(bibert_spec, change))
    _set_quantizers(model)
    check_modules(load(model), reason)


def check_modules(models: tuple[PackedModel, PackedModel], reason: str) -> None:
    generated, modules = models
    choice = generated.choices[0]["bert.encoder"]
    assert choice.product == "rows"
    assert reason in choice.reason
    for inputs in BATCHES[:3]:
        assert torch.equal(generated.logits(inputs), modules.logits(inputs))


def test_scores_as_large_as_those_of_masked_keys_are_computed_by_modules(
    build: Build, load: Load, bit_spec: QuantSpec
) -> None:
    model = build(bit_spec)
    _set_quantizers(model, step=60.0)
    check_modules(load(model), "scores are as large as those of masked keys")


def test_taps_and_masked_first_tokens_are_computed_by_the_modules(
    build: Build, load: Load, bibert_spec: QuantSpec
) -> None:
    check_taps_and_masks(load(build(bibert_spec)))


def test_taps_and_holes_with_a_softmax_are_computed_by_the_modules(
    build: Build, load: Load, bit_spec: QuantSpec
) -> None:
    model = build(bit_spec)
    _set_quantizers(model)
    check_taps_and_masks(load(model))


def check_taps_and_masks(models: tuple[PackedModel, PackedModel]) -> None:
    generated, modules = models
    inputs = batch(4, 9)
    taps = frozenset({Tap.HIDDEN})
    outputs, expected = (model.members[0](inputs, taps) for model in (generated, modules))
    assert all(map(torch.equal, outputs.taps[Tap.HIDDEN], expected.taps[Tap.HIDDEN]))
    for masked in ((0, 0), (0, 2)):  # the first token, which the pooler reads, and one within the sentence
        mask = inputs.mask.clone()
        mask[masked] = False
        holes = evolve(inputs, mask=mask)
        assert torch.equal(generated.logits(holes), modules.logits(holes))


def test_dropout_is_computed_by_the_modules(build: Build, load: Load, bibert_spec: QuantSpec) -> None:
    generated, modules = load(build(bibert_spec))
    inputs = batch(6, 9)
    answers = []
    for model in (generated, modules):
        torch.manual_seed(3)
        answers.append(model.members[0].with_dropout()(inputs).logits)
    assert torch.equal(*answers)
    assert not torch.equal(answers[0], generated.logits(inputs))


def test_branches_are_computed_by_modules(load: Load, bibert_spec: QuantSpec) -> None:
    spec = bibert_spec.with_branches({"bert.encoder.layer.1.output.dense": 2})
    generated, modules = load(tiny_model(tiny_task(), spec).eval())
    assert generated.choices[0]["bert.encoder"].reason.startswith("a linear map has 2 branches;")
    assert torch.equal(generated.logits(BATCHES[1]), modules.logits(BATCHES[1]))


def test_nothing_is_generated_for_models_without_quantizers(load: Load) -> None:
    assert product(load(tiny_model(tiny_task(), QuantSpec()).eval())[0]) == "modules"


def test_the_modules_are_those_of_the_twin(build: Build, load: Load, bibert_spec: QuantSpec) -> None:
    generated, modules = load(build(bibert_spec))
    encoders = [model.members[0].network.get_submodule("bert.encoder") for model in (generated, modules)]
    assert isinstance(encoders[0], PackedEncoder)
    assert [name for name, _ in encoders[0].named_children()] == [name for name, _ in encoders[1].named_children()]


def test_other_functions_give_the_same_bits(build: Build, load: Load, bibert_spec: QuantSpec) -> None:
    packed, _ = load(build(bibert_spec))
    network = packed.members[0].network
    encoder = network.get_submodule("bert.encoder")
    assert isinstance(encoder, PackedEncoder)
    expected = packed.logits(batch(5, 17, 3))
    kernels = load_kernels("encoder", kernel_target("generic"))
    network.set_submodule("bert.encoder", other := encoder.with_kernels(kernels))
    assert torch.equal(packed.logits(batch(5, 17, 3)), expected)
    assert other._kernel.kernels is kernels is not encoder._kernel.kernels
