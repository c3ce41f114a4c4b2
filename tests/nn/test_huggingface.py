from __future__ import annotations

from typing import Any

import pytest
import torch
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.nn.huggingface import (
    architecture_of,
    check_layers,
    classifier_architecture,
    config_number,
    configuration,
    modern_names,
    quantized_bits,
)


@pytest.fixture
def square(sizes: Architecture) -> Architecture:
    return evolve(sizes, heads=4, head_size=4, activation="relu", dropout=0.2, norm_epsilon=1e-6)


def test_the_configuration_says_the_sizes(square: Architecture) -> None:
    assert architecture_of(configuration(square), square.classes) == square


def test_transformers_reads_the_same(square: Architecture) -> None:
    from transformers import BertConfig

    config = BertConfig(**configuration(square))
    assert config.num_labels == square.classes
    assert config.hidden_act == "relu"
    assert architecture_of(config.to_dict(), square.classes) == square
    assert BertConfig(**configuration(evolve(square, classes=1))).problem_type == "regression"


def test_what_old_configurations_leave_out_has_a_default(square: Architecture) -> None:
    kept = configuration(evolve(square, dropout=0.1, norm_epsilon=1e-12))
    for name in (
        "type_vocab_size",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "layer_norm_eps",
        "model_type",
    ):
        del kept[name]
    assert architecture_of(kept, 2).norm_epsilon == 1e-12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'; only 'bert'"),
        ({"position_embedding_type": "relative_key"}, "only 'absolute'"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'; supported are gelu, relu"),
        ({"num_attention_heads": 3}, "hidden_size 16 is not a multiple of num_attention_heads 3"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0; at least 1 is right"),
        ({"hidden_size": "64"}, "hidden_size is '64'; a whole number is right"),
        ({"dyna_hidden_size": None}, "dyna_hidden_size is None; a whole number is right"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True; a whole number is right"),
        ({"hidden_act": ["gelu"]}, "hidden_act is .*; supported are gelu, relu"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small'; a number is right"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is not a finite number"),
        ({"layer_norm_eps": 10**400}, "layer_norm_eps is not a finite number"),
        ({"layer_norm_eps": 0}, r"layer_norm_eps is 0; must be in \(0, 1\)"),
        ({"hidden_dropout_prob": 1.5}, r"hidden_dropout_prob is 1\.5; must be in \[0, 1\)"),
        ({"vocab_size": 10**8}, "vocab_size is over 10000000, which no BERT has"),
        ({"quantization_config": {"quant_method": "quanto"}}, r"has quantization_config \(quanto\)"),
    ],
)
def test_other_models_are_refused(square: Architecture, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        architecture_of(configuration(square) | change, 2)


def test_missing_sizes_are_named(square: Architecture) -> None:
    config = configuration(square)
    del config["vocab_size"], config["intermediate_size"]
    with pytest.raises(UserError, match="lacks vocab_size, intermediate_size"):
        architecture_of(config, 2)


def test_a_number_of_published_code_has_a_type() -> None:
    assert config_number({"clip": 2}, "clip", 2.5) == 2
    assert config_number({}, "clip", 2.5) == 2.5
    with pytest.raises(UserError, match=r"config\.json: clip is '2'; a number is right"):
        config_number({"clip": "2"}, "clip", 2.5)


def test_bits_that_nobody_names_are_full_precision_unless_tensors_say_otherwise() -> None:
    assert quantized_bits({}, []) == (32, 32)
    assert quantized_bits({"weight_bits": 1, "input_bits": 4}, ["a.clip"]) == (1, 4)
    with pytest.raises(UserError, match=r"lacks input_bits, but a\.clip is of a quantized model"):
        quantized_bits({"weight_bits": 1}, ["a.clip"])
    with pytest.raises(UserError, match="weight_bits is None; a whole number is right"):
        quantized_bits({"weight_bits": None, "input_bits": 8}, [])


def test_old_names_become_new_ones() -> None:
    old = {
        "bert.embeddings.LayerNorm.gamma": 0,
        "embeddings.LayerNorm.beta": 1,
        "encoder.layer.0.output.dense.weight": 2,
        "bert.embeddings.position_ids": 3,
        "cls.predictions.bias": 4,
        "classifier.weight": 5,
    }
    new = modern_names({name: torch.tensor(value) for name, value in old.items()})
    assert {name: int(value) for name, value in new.items()} == {
        "bert.embeddings.LayerNorm.weight": 0,
        "bert.embeddings.LayerNorm.bias": 1,
        "bert.encoder.layer.0.output.dense.weight": 2,
        "classifier.weight": 5,
    }


def test_two_ages_of_one_name_are_refused() -> None:
    tensors = {"embeddings.LayerNorm.gamma": torch.ones(1), "bert.embeddings.LayerNorm.weight": torch.ones(1)}
    with pytest.raises(UserError, match=r"gamma and \S+weight are both called bert\.embeddings\.LayerNorm\.weight"):
        modern_names(tensors)


def test_a_classifier_has_a_row_per_class(square: Architecture) -> None:
    shapes = {f"bert.encoder.layer.{layer}.output.dense.bias": (16,) for layer in range(square.layers)}
    config = configuration(square)
    assert classifier_architecture(config, {**shapes, "classifier.weight": (square.classes, 16)}) == square
    for shape in ((), (3,), (0, 16)):
        with pytest.raises(UserError, match=r"classifier\.weight is \(.*\); expected a matrix with a row per class"):
            classifier_architecture(config, {**shapes, "classifier.weight": shape})
    with pytest.raises(UserError, match="names 3 classes; the classifier has 5 outputs"):
        classifier_architecture({**config, "num_labels": 3}, {**shapes, "classifier.weight": (5, 16)})


def test_layers_are_counted() -> None:
    check_layers(2, ["bert.encoder.layer.0.a", "bert.encoder.layer.1.b", "bert.pooler.a"])
    with pytest.raises(UserError, match=r"^architecture\.layers is 3; the weights have 1$"):
        check_layers(3, ["bert.encoder.layer.0.a"], "architecture.layers")
    with pytest.raises(UserError, match=r"no tensor is called bert\.encoder\.layer\.0\.\.\.: all names begin with x\."):
        check_layers(1, ["x.bert.encoder.layer.0.a"])
