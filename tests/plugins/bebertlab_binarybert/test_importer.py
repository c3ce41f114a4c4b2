from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import Architecture, BertClassifier, QuantSpec, Site, UserError, quantizable_modules
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.requantize import apply_spec
from bebertlab.testing import check_importer
from bebertlab_binarybert import (
    BinaryBert,
    BinaryBertImporter,
    Bwn,
    TernaryBert,
    TernaryBertImporter,
    Twn,
)
from bebertlab_binarybert.tws import split_all, ternary_modules

#: three heads of a hidden size that three does not divide
SIZES = Architecture(
    vocabulary=30, positions=12, hidden=16, heads=3, head_size=4, ffn=20, layers=2, classes=3, activation="gelu"
)
CONFIG = {
    "vocab_size": 30,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "hidden_size": 16,
    "num_attention_heads": 3,
    "dyna_hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
LAYER = "bert.encoder.layer.1."
RULES = (
    (r"\.quantizers\.attention_(query|key|value)\.\w+$", r".clip_\1"),
    (r"\.quantizers\.attention_probabilities\.\w+$", r".clip_attn"),
    (r"word_embeddings\.(.*)weight_quantizer\.\w+$", r"word_embeddings.\1embed_clip_val"),
    (r"(weight|input)_quantizer\.\w+$", r"\1_clip_val"),
)


def stored(spec: QuantSpec, branches: int = 1) -> dict[str, Tensor]:
    """A model with a specification as BinaryBERT's code stores it: other names, no flags."""
    whole = spec.with_branches(dict.fromkeys(quantizable_modules(SIZES), branches))
    sizes = evolve(SIZES, activation=spec.activation or "gelu")
    tensors_by_name = {}
    for position, (name, tensor) in enumerate(BertClassifier(sizes, whole).state_dict().items()):
        for pattern, replacement in RULES:
            name = re.sub(pattern, replacement, name)
        name = re.sub(r"\.branches\.(\d)", lambda m: f"_{int(m[1]) + 1}" if branches > 1 else "", name)
        if not name.endswith("initialised"):
            generator = torch.Generator().manual_seed(position)
            tensors_by_name[name] = torch.rand(tensor.shape, generator=generator) + 0.5
    return tensors_by_name


def config_of(weight_bits: int, input_bits: int, **settings: object) -> dict[str, object]:
    methods = {1: "bwn", 2: "twn", 8: "uniform", 32: "twn"}
    named = {"weight_quant_method": methods[weight_bits], "input_quant_method": "lsq" if input_bits == 4 else "uniform"}
    return {**CONFIG, "weight_bits": weight_bits, "input_bits": input_bits, **named, **settings}


def read(tensors: Mapping[str, Tensor], config: Mapping[str, Any], **options: Any) -> BertClassifier:  # noqa: ANN401
    return BertClassifier.from_checkpoint(BinaryBertImporter(**options).read(tensors, config))


def test_an_old_full_precision_checkpoint_needs_no_settings() -> None:
    source = random_checkpoint(SIZES, seed=0, spread=0.3)
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): t for name, t in source.tensors.items()}
    old["bert.embeddings.position_ids"] = torch.arange(12)
    for importer in (BinaryBertImporter(), TernaryBertImporter()):
        actual = importer.read(old, CONFIG)
        assert actual.spec == QuantSpec()
        assert actual.architecture == SIZES  # three outputs of the classifier, and the LayerNorms' own epsilon
        assert all(torch.equal(actual.tensors[name], tensor) for name, tensor in source.tensors.items())


@pytest.mark.parametrize(
    ("settings", "branches"),
    [((2, 8), 1), ((1, 4), 1), ((1, 4), 2), ((8, 8), 1), ((8, 8), 2), ((32, 8), 1), ((1, 32), 1), ((1, 32), 2)],
)
def test_settings_and_names_are_translated(settings: tuple[int, int], branches: int) -> None:
    scheme = BinaryBert(weight_bits=settings[0], activation_bits=settings[1])
    spec = scheme.spec()
    given = stored(spec, branches)
    model = read(given, config_of(*settings, hidden_act=spec.activation or "gelu"))
    assert evolve(model.spec, branches={}) == spec
    assert set(model.spec.branches.values()) in ({2}, set())
    parameters = dict(model.named_parameters())
    assert len(parameters) == len(given)
    where = "output.dense.branches.1" if branches == 2 else "output.dense.branches.0"
    published = "output.dense_2" if branches == 2 else "output.dense"
    assert torch.equal(parameters[f"{LAYER}{where}.bias"], given[f"{LAYER}{published}.bias"])
    if settings[1] < 32:
        kind = "step" if settings[1] == 4 else "clip"
        assert torch.equal(
            parameters[f"{LAYER}{where}.input_quantizer.{kind}"], given[f"{LAYER}{published}.input_clip_val"]
        )
        inside = parameters[f"{LAYER}attention.self.quantizers.attention_probabilities.{kind}"]
        assert torch.equal(inside, given[f"{LAYER}attention.self.clip_attn"])
    if settings[0] == 8:
        clips = [tensor for name, tensor in given.items() if "embed_clip_val" in name]
        assert [tuple(clip.shape) for clip in clips] == [(2,)] * branches


@pytest.mark.parametrize(
    ("settings", "scheme"),
    [
        ({"weight_quant_method": "laq"}, BinaryBert(weights="laq")),
        ({"weight_layerwise": False}, BinaryBert(matrix_granularity="row")),
        ({"embed_layerwise": True}, BinaryBert(embedding_granularity="tensor")),
        ({"weight_bits": 3, "weight_quant_method": "uniform"}, BinaryBert(weight_bits=3, weights="uniform")),
        ({"sym_quant_qkvo": False, "clip_init_val": 1.5}, BinaryBert(symmetric=False, clip=1.5)),
        ({"sym_quant_ffn_attn": True}, BinaryBert(one_sided_symmetric=True)),
        ({"input_layerwise": False}, BinaryBert(activation_granularity="row")),
        ({"learnable_scaling": False}, BinaryBert(learnable=False)),
        ({"input_bits": 2}, BinaryBert(activation_bits=2, activations="uniform")),
    ],
)
def test_every_setting_is_used(settings: dict[str, object], scheme: BinaryBert) -> None:
    assert read(stored(scheme.spec()), {**config_of(1, 8), **settings}).spec == scheme.spec()


def test_steps_of_a_checkpoint_are_set_even_at_exactly_1() -> None:
    given = stored(BinaryBert(activation_bits=4).spec())
    given[f"{LAYER}attention.self.clip_key"] = torch.ones(1)  # with a dimension too many
    model = read(given, config_of(1, 4, hidden_act="gelu")).train()
    quantizer = model.get_submodule(f"{LAYER}attention.self.quantizers.attention_key")
    quantizer(torch.randn(2, 3, 4, 4))
    assert quantizer.get_parameter("step").item() == 1.0
    assert model.spec.activation == "gelu"
    name = f"{LAYER}attention.self.quantizers.attention_key.initialised"
    published = BinaryBertImporter(as_published=True).read(given, config_of(1, 4)).tensors
    assert [n for n, tensor in published.items() if n.endswith(".initialised") and not tensor] == [name]


def test_double_precision_becomes_single() -> None:
    given = {name: tensor.double() for name, tensor in stored(BinaryBert().spec(), 2).items()}
    assert {p.dtype for p in read(given, config_of(1, 8)).parameters()} == {torch.float32}


def test_unused_clips_are_omitted() -> None:
    given = stored(BinaryBert(weight_bits=8).spec())
    model = read(given, config_of(32, 32))
    assert model.spec == QuantSpec()


def test_settings_copied_by_the_published_split_are_refused_and_can_be_overridden() -> None:
    given = stored(BinaryBert().spec(), 2)
    with pytest.raises(UserError, match=r"word_embeddings and others are split in two, but config\.json says .* 2"):
        read(given, config_of(2, 8))
    spec = read(given, config_of(2, 8), weight_bits=1).spec
    assert spec.weights[Site.KEY] == Bwn()


def test_a_bebertlab_split_equals_the_published_split() -> None:
    ternary = apply_spec(random_checkpoint(SIZES, seed=1), BinaryBert(weight_bits=2, activation_bits=32).spec())
    split = split_all(ternary, ternary_modules(ternary, "tws"))
    rename = {name: re.sub(r"\.branches\.(\d)", lambda m: f"_{int(m[1]) + 1}", name) for name in split.tensors}
    actual = BinaryBertImporter().read({rename[n]: t for n, t in split.tensors.items()}, config_of(1, 32))
    assert actual.spec == split.spec
    assert all(torch.equal(actual.tensors[name], tensor) for name, tensor in split.tensors.items())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"weight_bits": 3}, r"config\.json: 'weight_bits' must be 1 for `weights: bwn`: 3"),
        ({"input_bits": 1}, r"config\.json: 'activation_bits' must be 2 to 16 for `activations: uniform`: 1"),
        ({"input_quant_method": "elastic"}, r"config\.json: 'activations' must be one of uniform, lsq: elastic"),
        ({"intermediate_size": 24}, r"BinaryBERT's .*: wrong shape: .*is \(20, 16\), should be \(24, 16\)"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3; the weights have 2"),
        ({"num_hidden_layers": 1}, "num_hidden_layers is 1; the weights have 2"),
        ({"architectures": ["BertForTokenClassification"]}, "whose classifier is not one of whole texts"),
        ({"num_labels": 2}, "num_labels names 2 classes; the classifier has 3 outputs"),
        ({"dyna_hidden_size": 16}, "dyna_hidden_size 16 is not a multiple of num_attention_heads 3"),
        ({"hidden_act": "tanh"}, "hidden_act is 'tanh'"),
        ({"input_quant_method": "lsq"}, r"clip_query is \(2,\), should be \(\)"),
        ({"input_bits": 4, "input_quant_method": "lsq", "input_layerwise": False}, "lsq has one step"),
        ({"weight_bits": None}, "weight_bits is None; expected an integer"),
        ({"input_bits": "8"}, "input_bits is '8'; expected an integer"),
        ({"clip_init_val": "2.5"}, "clip_init_val is '2.5'; expected a number"),
    ],
)
def test_contradictions_are_refused_with_the_reason(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read(stored(BinaryBert().spec()), {**config_of(1, 8), **settings})


@pytest.mark.parametrize("lost", ["weight_bits", "input_bits"])
def test_missing_bits_are_requested(lost: str) -> None:
    config = {name: value for name, value in config_of(1, 8).items() if name != lost}
    with pytest.raises(UserError, match=rf"config\.json lacks {lost}, but \S+_1\.weight belongs to a quantized model"):
        read(stored(BinaryBert().spec(), 2), config)
    with pytest.raises(UserError, match=rf"config\.json lacks {lost}, but \S+clip\S* belongs to a quantized model"):
        TernaryBertImporter().read(ternarybert(), config)
    assert lost == "input_bits" or read(stored(BinaryBert().spec(), 2), config, weight_bits=1).spec.branches


def test_a_model_that_is_not_a_classifier_is_refused() -> None:
    given = stored(BinaryBert().spec())
    del given["classifier.weight"]
    for importer in (BinaryBertImporter(), TernaryBertImporter()):
        with pytest.raises(UserError, match="this is not a classifier"):
            importer.read(given, config_of(1, 8))


def ternarybert(clip: float = 2.0) -> dict[str, Tensor]:
    """A model as TernaryBERT's code stores it."""
    given = {
        name.replace("input_clip_val", "act_clip_val"): tensor
        for name, tensor in stored(TernaryBert(clip=clip).spec()).items()
    }
    given |= {name.replace(".weight", ".weight_clip_val"): given[name] for name in given if name.endswith("e.weight")}
    ends = torch.tensor([-clip, clip])
    given |= {name: ends for name in given if "clip" in name}
    given[f"{LAYER}output.dense.act_clip_val"] = 2 * ends
    return given


def test_ternarybert_has_fixed_clips_with_other_names() -> None:
    config = {**CONFIG, "weight_bits": 2, "input_bits": 8, "clip_val": 2.0, "quantize_act": True}
    actual = TernaryBertImporter().read(ternarybert(), config)
    assert actual.spec == TernaryBert(clip=2.0).spec()
    assert actual.spec.weights[Site.WORD_EMBEDDING] == Twn(granularity="row", clip=2.0)
    assert actual.tensors[f"{LAYER}output.dense.branches.0.input_quantizer.clip"].tolist() == [-4.0, 4.0]
    model = BertClassifier.from_checkpoint(actual)
    assert not [name for name, _ in model.named_parameters() if "clip" in name]


def test_ternarybert_without_quantized_activations() -> None:
    config = {**CONFIG, "weight_bits": 2, "input_bits": 8, "clip_val": 2.0, "quantize_act": False}
    assert not TernaryBertImporter().read(ternarybert(), config).spec.inputs


def test_ternarybert_refuses_other_clips_and_bits() -> None:
    config = {**CONFIG, "weight_bits": 2, "input_bits": 8, "clip_val": 2.5, "quantize_act": True}
    with pytest.raises(UserError, match=r"weight_clip_val is \[-2\.0, 2\.0\], but config\.json has clip_val 2\.5"):
        TernaryBertImporter().read(ternarybert(), config)
    with pytest.raises(UserError, match=r"config\.json: .*weight_bits"):
        TernaryBertImporter().read(ternarybert(), {**config, "weight_bits": 1})
    with pytest.raises(UserError, match=r"TernaryBERT's .* wrong shape"):
        TernaryBertImporter().read(ternarybert(), {**config, "clip_val": 2.0, "vocab_size": 31})


@pytest.mark.parametrize("branches", [1, 2])
def test_binarybert_keeps_the_contract_of_importers(branches: int) -> None:
    spec = BinaryBert(weight_bits=1, activation_bits=8).spec()
    config = config_of(1, 8, hidden_act=spec.activation or "gelu")
    check_importer(BinaryBertImporter(), stored(spec, branches), config)


def test_ternarybert_keeps_the_contract_of_importers() -> None:
    config = {**CONFIG, "weight_bits": 2, "input_bits": 8, "clip_val": 2.0, "quantize_act": True}
    check_importer(TernaryBertImporter(), ternarybert(), config)
