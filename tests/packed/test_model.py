from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import ModelTokenizer
from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.architecture import LINEAR_SITES, WEIGHT_SITES, QuantSpec, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer, QuantizerOptions
from bebertlab.kernels.target import kernels_available
from bebertlab.model.bert import BertClassifier
from bebertlab.model.spec import quantizable_modules
from bebertlab.packed.model import UNPACKING, PackedModel
from bebertlab.packed.products import PACKED_PRODUCTS
from bebertlab.packed.read import read_packed
from bebertlab.packed.write import PackSource, write_packed
from bebertlab.registry.manager import load_plugins
from bebertlab.registry.registry import PluginSource
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert.uniform import Uniform

_REGISTRY = load_plugins().registry
SCHEMES = _REGISTRY.kinds("scheme")
WEIGHTS, ACTIVATIONS = (
    [
        kind
        for kind in _REGISTRY.kinds("quantizer")
        if getattr(_REGISTRY.find("quantizer", kind), "applies_to", "") in (operand, "both")
    ]
    for operand in ("weights", "activations")
)
MERGERS = _REGISTRY.kinds("merger")


def batch(*lengths: int, seed: int = 0) -> Batch:
    """Sentences of these lengths, padded to the longest one."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    mask = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    shape = (len(lengths), longest)
    return Batch(
        positions=torch.arange(len(lengths)),
        tokens=torch.randint(1, 23, shape, generator=generator) * mask,
        segments=torch.randint(0, 2, shape, generator=generator) * mask,
        mask=mask,
        labels=torch.zeros(len(lengths), dtype=torch.int64),
    )


#: padding, one token, the longest sentence
BATCHES = (batch(5, 9, 2, 9), batch(1), batch(32, 1), batch(7, 7, seed=3))


@pytest.fixture
def check(pack: Callable[..., Path], codec: OptionsCodec) -> Callable[..., None]:
    """Checks that a packed model gives the logits of its twin to the bit, by whatever it is computed."""

    def compare(model: BertClassifier) -> None:
        twin, file = prepare(model), read_packed(pack(model), codec)
        for unpacking, kernels in itertools.product(UNPACKING, {False, kernels_available()}):
            packed = PackedModel.of(file, unpacking=unpacking, kernels=kernels)
            for inputs in BATCHES:
                expected = twin(inputs).logits
                assert expected.isfinite().all()
                assert torch.equal(packed.logits(inputs), expected)

    return compare


@pytest.fixture
def make_model() -> Callable[..., BertClassifier]:
    """A tiny model with rows of zeros, outlier channels and activations that hit zero."""

    def make(spec: QuantSpec, **options: Any) -> BertClassifier:  # noqa: ANN401
        model = tiny_model(tiny_task(), spec, **options).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim == 2 and "quantizer" not in name:
                    parameter[1] = 0.0
                elif name.endswith("LayerNorm.weight"):
                    parameter[2] = 30.0
                elif name.endswith("bias"):
                    parameter.copy_(torch.linspace(-0.5, 0.5, parameter.numel()))
            _set_steps(model)
        return model

    return make


def _set_steps(model: BertClassifier) -> None:
    """Let quantizers that learn a step see a batch in training mode, as a trained model has."""
    model.train()
    model(BATCHES[0])
    model.eval()


@pytest.mark.parametrize("kind", SCHEMES)
def test_every_shipped_scheme_answers_as_trained(
    kind: str,
    scheme_spec: Callable[..., QuantSpec],
    make_model: Callable[..., BertClassifier],
    check: Callable[..., None],
) -> None:
    check(make_model(scheme_spec(kind)))


@pytest.mark.parametrize("kind", ["bibert", "bit", "binarybert", "ternarybert"])
def test_branches_answer_as_trained(
    kind: str,
    scheme_spec: Callable[..., QuantSpec],
    make_model: Callable[..., BertClassifier],
    check: Callable[..., None],
) -> None:
    spec = scheme_spec(kind)
    sizes = tiny_model(tiny_task()).architecture
    paths = [path for path, site in quantizable_modules(sizes).items() if site in spec.weights]
    check(make_model(spec.with_branches(dict.fromkeys(paths, 2))))


def _options(codec: OptionsCodec, kind: str) -> QuantizerOptions:
    return codec.load({"kind": kind}, QuantizerOptions)  # type: ignore[type-abstract]


@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_quantizer_of_weights_answers_as_trained(
    kind: str, codec: OptionsCodec, make_model: Callable[..., BertClassifier], check: Callable[..., None]
) -> None:
    inputs = dict.fromkeys(LINEAR_SITES, Uniform(symmetric=False))
    check(make_model(QuantSpec(weights=dict.fromkeys(WEIGHT_SITES, _options(codec, kind)), inputs=inputs)))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_every_quantizer_of_inputs_answers_as_trained(
    kind: str, codec: OptionsCodec, make_model: Callable[..., BertClassifier], check: Callable[..., None]
) -> None:
    weights = dict.fromkeys(WEIGHT_SITES, _options(codec, "twn"))
    check(make_model(QuantSpec(weights=weights, inputs=dict.fromkeys(LINEAR_SITES, _options(codec, kind)))))


def test_weights_alone_answer_as_trained(
    codec: OptionsCodec, make_model: Callable[..., BertClassifier], check: Callable[..., None]
) -> None:
    check(make_model(QuantSpec(weights=dict.fromkeys(WEIGHT_SITES, _options(codec, "bwn")))))


def test_a_model_without_quantizers_answers_as_trained(
    make_model: Callable[..., BertClassifier], check: Callable[..., None]
) -> None:
    check(make_model(QuantSpec()))


def test_weights_that_are_not_packed_answer_as_trained(
    make_model: Callable[..., BertClassifier], pack: Callable[..., Path], codec: OptionsCodec
) -> None:
    weights: dict[Site, QuantizerOptions] = {site: Uniform(bits=12) for site in WEIGHT_SITES if site is not Site.QUERY}
    model = make_model(QuantSpec(weights=weights, inputs=dict.fromkeys(LINEAR_SITES, Uniform())))
    packed = PackedModel.of(read_packed(pack(model), codec))
    for inputs in BATCHES:
        torch.testing.assert_close(packed.logits(inputs), prepare(model)(inputs).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", MERGERS)
def test_every_rule_merges_as_it_merged_the_members(
    kind: str, scheme_spec: Callable[..., QuantSpec], pack: Callable[..., Path], codec: OptionsCodec
) -> None:
    rule = codec.load({"kind": kind}, MergerOptions)  # type: ignore[type-abstract]
    task = tiny_task(regression=kind == "weighted_median")
    kinds = ("bibert", "bit", "ternarybert")
    models = [tiny_model(task, scheme_spec(scheme), seed=seed).eval() for seed, scheme in enumerate(kinds)]
    weights = np.array([0.7, 1.9, 0.4])
    folder = pack(*models, rule=rule, weights=weights, classes=task.classes)
    packed = PackedModel.of(read_packed(folder, codec))
    assert packed.probabilities == rule.probabilities
    for inputs in BATCHES:
        stacked = np.stack([prepare(model)(inputs).logits.numpy().astype(np.float64) for model in models])
        expected = rule.build(task.outputs).merge(stacked, weights)
        np.testing.assert_array_equal(packed.logits(inputs).numpy(), expected)


def test_threads_that_share_a_model_get_the_same_bits(packed: Path, codec: OptionsCodec) -> None:
    model = PackedModel.of(read_packed(packed, codec), unpacking="each", kernels=False)
    expected = [model.logits(inputs) for inputs in BATCHES]
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: [model.logits(inputs) for inputs in BATCHES], range(24)):
            assert all(torch.equal(answer, value) for answer, value in zip(answers, expected, strict=True))


@frozen(kw_only=True)
class Thirds(QuantizerOptions):
    """A quantizer of somebody's own: levels three apart that begin below zero, and an offset for each row."""

    kind = "thirds"
    lowest: int = -6

    def build(self, shape: torch.Size) -> ThirdsQuantizer:
        return ThirdsQuantizer(self.lowest)


class ThirdsQuantizer(Quantizer):
    def __init__(self, lowest: int) -> None:
        super().__init__()
        self.alphabet = Alphabet(lowest, lowest + 15, spacing=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).decode()

    def encode(self, x: Tensor) -> Codes:
        step = x.abs().amax(-1, keepdim=True) / 8 + 0.125
        levels = (x / step / 3).round().clamp(0, 5) * 3 + self.alphabet.low
        return Codes(levels=levels.to(torch.int16), step=step, offset=step / 7, alphabet=self.alphabet)


def test_a_quantizer_of_ones_own_is_packed_by_its_codes(
    make_model: Callable[..., BertClassifier], pack_into: Callable[..., Path], tokenizer: ModelTokenizer, tmp_path: Path
) -> None:
    codec = OptionsCodec(_REGISTRY.extended(((QuantizerOptions, Thirds),), PluginSource(plugin="test")))
    spec = QuantSpec(
        weights=dict.fromkeys(WEIGHT_SITES, Thirds()), inputs=dict.fromkeys(LINEAR_SITES, Thirds(lowest=0))
    )
    model = make_model(spec)
    report = write_packed(PackSource(models=[model], tokenizer=tokenizer), tmp_path / "packed", codec)
    assert not report.full_precision
    packed = PackedModel.of(read_packed(tmp_path / "packed", codec))
    for inputs in BATCHES:
        assert torch.equal(packed.logits(inputs), prepare(model)(inputs).logits)


def test_weights_stay_packed_where_they_are_unpacked_for_each_product(packed: Path, codec: OptionsCodec) -> None:
    file = read_packed(packed, codec)
    shapes = {unpacking: _float_shapes(PackedModel.of(file, unpacking=unpacking)) for unpacking in UNPACKING}
    plain = {(32, 16), (2, 16)}  # positions and segments; also the classifier
    assert shapes["each"] == plain
    assert shapes["once"] >= plain


def _float_shapes(model: PackedModel) -> set[tuple[int, ...]]:
    """Shapes of all matrices of floats that the modules of a model hold in any attribute."""
    modules: list[nn.Module] = [*model.members[0].network.modules()]
    held = [
        value
        for module in modules
        for value in (*vars(module).values(), *module.parameters(False), *module.buffers(False))
    ]
    listed = [item for value in held for item in (value if isinstance(value, list | tuple) else [value])]
    return {
        tuple(tensor.shape)
        for tensor in listed
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.ndim == 2 and tensor.shape[1] > 1
    }


@pytest.mark.skipif(not kernels_available(), reason="llvmlite is not installed")
def test_how_products_are_computed_is_listed(
    scheme_spec: Callable[..., QuantSpec],
    make_model: Callable[..., BertClassifier],
    pack: Callable[..., Path],
    codec: OptionsCodec,
) -> None:
    models = [make_model(scheme_spec(kind)) for kind in ("bibert", "ternarybert")]
    file = read_packed(pack(*models), codec)
    packed = {unpacking: PackedModel.of(file, unpacking=unpacking) for unpacking in UNPACKING}
    signs, levels = packed["each"].choices
    assert [*signs] == ["bert.encoder", "bert.pooler.dense"]
    assert signs["bert.encoder"].product == "signs"
    assert levels["bert.encoder"].product == "rows"
    assert {choice.product for path, choice in levels.items() if path != "bert.encoder"} <= PACKED_PRODUCTS
    paths = {path for path, site in quantizable_modules(file.members[1].architecture).items() if site in LINEAR_SITES}
    assert levels.keys() == paths | {"bert.encoder"}
    timed = packed["once"].choices[1]["bert.pooler.dense"]
    assert timed.product in {"planes", "levels"}  # too small for int8
    assert " ms for 128 tokens" in timed.reason
    plain = PackedModel.of(file, kernels=False).choices
    assert {choice.reason for choices in plain for choice in choices.values()} == {"generated code is not used"}
