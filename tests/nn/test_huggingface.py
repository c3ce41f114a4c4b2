from __future__ import annotations

from typing import Any

import pytest
import torch
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.nn.huggingface import architecture_of, config_number, configuration, modern_names, quantized_bits


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
