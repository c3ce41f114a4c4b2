from __future__ import annotations

from typing import Any

import pytest
import torch
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.model.huggingface import (
    architecture_of,
    check_config,
    check_head,
    check_layers,
    check_unquantized,
    classifier_architecture,
    config_number,
    configuration,
    modern_names,
    quantized_bits,
)


@pytest.fixture
def square(sizes: Architecture) -> Architecture:
    return evolve(sizes, heads=4, head_size=4, activation="relu", dropout=0.2, norm_epsilon=1e-6)


def test_sizes_are_read_from_the_configuration(square: Architecture) -> None:
    assert architecture_of(configuration(square), square.classes) == square


def test_transformers_reads_the_same(square: Architecture) -> None:
    from transformers import BertConfig

    config = BertConfig(**configuration(square))
    assert config.num_labels == square.classes
    assert config.hidden_act == "relu"
    assert architecture_of(config.to_dict(), square.classes) == square
    assert BertConfig(**configuration(evolve(square, classes=1))).problem_type == "regression"


def test_keys_missing_in_old_configurations_have_defaults(square: Architecture) -> None:
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
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'; only 'bert'"),
        ({"position_embedding_type": "relative_key"}, "only 'absolute'"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'; supported are gelu, relu"),
        ({"num_attention_heads": 3}, "hidden_size 16 is not a multiple of num_attention_heads 3"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0; must be at least 1"),
        ({"hidden_size": "64"}, "hidden_size is '64'; expected an integer"),
        ({"dyna_hidden_size": None}, "dyna_hidden_size is None; expected an integer"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True; expected an integer"),
        ({"hidden_act": ["gelu"]}, "hidden_act is .*; supported are gelu, relu"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small'; expected a number"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is not a finite number"),
        ({"layer_norm_eps": 10**400}, "layer_norm_eps is not a finite number"),
        ({"layer_norm_eps": 0}, r"layer_norm_eps is 0; must be in \(0, 1\)"),
        ({"hidden_dropout_prob": 1.5}, r"hidden_dropout_prob is 1\.5; must be in \[0, 1\)"),
        ({"vocab_size": 10**8}, "vocab_size is over 10000000, which no BERT has"),
        ({"quantization_config": {"quant_method": "quanto"}}, r"has quantization_config \(quanto\)"),
    ],
)
def test_other_models_are_refused(square: Architecture, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        architecture_of(configuration(square) | change, 2)


def test_missing_sizes_are_named(square: Architecture) -> None:
    config = configuration(square)
    del config["vocab_size"], config["intermediate_size"]
    with pytest.raises(UserError, match="lacks vocab_size, intermediate_size"):
        architecture_of(config, 2)


def test_numbers_of_published_configurations_are_converted() -> None:
    assert config_number({"clip": 2}, "clip", 2.5) == 2
    assert config_number({}, "clip", 2.5) == 2.5
    with pytest.raises(UserError, match=r"config\.json: clip is '2'; expected a number"):
        config_number({"clip": "2"}, "clip", 2.5)


def test_unset_bits_mean_full_precision_unless_tensors_show_otherwise() -> None:
    assert quantized_bits({}, []) == (32, 32)
    assert quantized_bits({"weight_bits": 1, "input_bits": 4}, ["a.clip"]) == (1, 4)
    with pytest.raises(UserError, match=r"lacks input_bits, but a\.clip belongs to a quantized model"):
        quantized_bits({"weight_bits": 1}, ["a.clip"])
    with pytest.raises(UserError, match="weight_bits is None; expected an integer"):
        quantized_bits({"weight_bits": None, "input_bits": 8}, [])


def test_old_parameter_names_are_translated() -> None:
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


def test_the_old_and_the_new_name_of_one_tensor_are_refused() -> None:
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


BERT = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b"}}


def one_line(error: UserError) -> str:
    assert len(str(error).splitlines()) == 1
    assert "config.json" in str(error)
    return str(error)


@pytest.mark.parametrize(
    "config",
    [
        BERT,
        {},
        {"model_type": None, "architectures": None, "quantization_config": None, "pruned_heads": {}},
        {"architectures": ["BertForTokenClassification"]},  # its encoder can be used
        {"is_decoder": False, "add_cross_attention": False, "chunk_size_feed_forward": 4, "auto_map": None},
    ],
)
def test_a_bert_with_any_head_is_recognized(config: dict[str, Any]) -> None:
    check_config(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'; only 'bert' is supported"),
        ({"model_type": ["bert"]}, "only 'bert' is supported"),
        (
            {"model_type": "bebertlab"},
            "so bebertlab wrote this model; read its folder, which has a bebertlab.json, with a stage `load`",
        ),
        (
            {"architectures": ["RobertaForSequenceClassification"]},
            "architectures has RobertaForSequenceClassification;",
        ),
        ({"architectures": ["BertGenerationEncoder"]}, "architectures has BertGenerationEncoder; only those of BERT"),
        ({"model_type": "bert", "architectures": ["JinaBertModel"]}, "architectures has JinaBertModel; only"),
        ({"architectures": "BertModel"}, "architectures is 'BertModel'; expected a list of names"),
        ({"architectures": [1]}, "expected a list of names"),
        (
            {"quantization_config": {"quant_method": "gptq"}},
            "has quantization_config (gptq): the weights are quantized",
        ),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "quantization_config (compressed-tensors)"),
        ({"quantization_config": {"bits": 4}}, "quantization_config (method not named)"),
        ({"quantization_config": "int8"}, "quantization_config (int8)"),
        ({"compression_config": {"format": "int-quantized"}}, "compression_config (int-quantized)"),
        ({"auto_map": {"AutoModel": "m.M"}}, "the model needs its own code, which is not run"),
        ({"transformers_weights": "a.safetensors"}, "the weights are in a file with another name"),
        ({"is_decoder": True}, "is_decoder is True: it attends to earlier tokens only"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder is True"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads is {'0': [1]}: attention heads were removed"),
    ],
)
def test_other_models_are_refused_with_the_key_that_shows_it(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        check_config({**BERT, **config} if "architectures" not in config else config)
    assert message in one_line(raised.value)


def test_a_quantized_model_of_published_code_is_referred_to_its_importer() -> None:
    check_unquantized({"weight_bits": 32, "input_bits": None})
    for config in ({"weight_bits": 2}, {"weight_bits": 32, "input_bits": 8}, {"weight_bits": "1"}):
        with pytest.raises(UserError, match=r"`bebertlab model import` with the --format of that code"):
            check_unquantized(config)


@pytest.mark.parametrize(
    ("config", "outputs"),
    [
        (BERT, 2),
        ({}, 7),
        ({"num_labels": 3, "id2label": {}}, 3),
        ({"architectures": ["BertForMaskedLM"]}, 2),  # starting point of the published code
    ],
)
def test_classifiers_of_texts_pass(config: dict[str, Any], outputs: int) -> None:
    check_head(config, outputs)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"architectures": ["BertForTokenClassification"]},
            "BertForTokenClassification, whose classifier is not one of",
        ),
        ({"architectures": ["BertForMultipleChoice"]}, "BertForMultipleChoice, whose classifier is not one of whole"),
        ({"architectures": ["BertForQuestionAnswering"]}, "BertForQuestionAnswering, whose classifier is not one of"),
        ({"architectures": ["BertForTopics"]}, "BertForTopics, whose classifier is not one of whole texts"),
        ({"num_labels": 3}, "num_labels names 3 classes; the classifier has 2 outputs"),
    ],
)
def test_other_heads_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        check_head({**BERT, **config}, 2)
    assert message in one_line(raised.value)


def test_a_regression_has_one_output_in_its_configuration() -> None:
    check_head({"id2label": {"0": "LABEL_0"}}, 1)
    with pytest.raises(UserError, match="id2label names 2 classes; the classifier has 1 outputs"):
        check_head(BERT, 1)
