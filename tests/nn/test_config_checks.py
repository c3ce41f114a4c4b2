from __future__ import annotations

from typing import Any

import pytest

from bebertlab.errors import UserError
from bebertlab.nn.config_checks import check_config, check_head, check_unquantized

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
        {"architectures": ["BertForTokenClassification"]},  # its encoder is as good as any
        {"is_decoder": False, "add_cross_attention": False, "chunk_size_feed_forward": 4, "auto_map": None},
    ],
)
def test_a_bert_is_one_whatever_its_head(config: dict[str, Any]) -> None:
    check_config(config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'; only 'bert' is supported"),
        ({"model_type": ["bert"]}, "only 'bert' is supported"),
        ({"model_type": "bebertlab"}, "of a model that bebertlab wrote: a stage `load` takes it"),
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
        ({"quantization_config": {"bits": 4}}, "quantization_config (of an unnamed method)"),
        ({"quantization_config": "int8"}, "quantization_config (int8)"),
        ({"compression_config": {"format": "int-quantized"}}, "compression_config (int-quantized)"),
        ({"auto_map": {"AutoModel": "m.M"}}, "the model is made by code of its own, which is not run"),
        ({"transformers_weights": "a.safetensors"}, "the weights are in a file of another name"),
        ({"is_decoder": True}, "is_decoder is True: it attends to earlier tokens only"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder is True"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads is {'0': [1]}: attention heads were taken out"),
    ],
)
def test_other_models_are_refused_by_the_key_that_says_so(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as raised:
        check_config({**BERT, **config} if "architectures" not in config else config)
    assert words in one_line(raised.value)


def test_a_quantized_model_of_published_code_is_sent_to_its_importer() -> None:
    check_unquantized({"weight_bits": 32, "input_bits": None})
    for config in ({"weight_bits": 2}, {"weight_bits": 32, "input_bits": 8}, {"weight_bits": "1"}):
        with pytest.raises(UserError, match=r"`bebertlab model import` with the --format of that code reads it"):
            check_unquantized(config)


@pytest.mark.parametrize(
    ("config", "outputs"),
    [
        (BERT, 2),
        ({}, 7),
        ({"num_labels": 3, "id2label": {}}, 3),
        ({"architectures": ["BertForMaskedLM"]}, 2),  # what published code started from
    ],
)
def test_classifiers_of_texts_pass(config: dict[str, Any], outputs: int) -> None:
    check_head(config, outputs)


@pytest.mark.parametrize(
    ("config", "words"),
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
def test_other_heads_are_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as raised:
        check_head({**BERT, **config}, 2)
    assert words in one_line(raised.value)


def test_a_regression_has_one_output_in_its_configuration_too() -> None:
    check_head({"id2label": {"0": "LABEL_0"}}, 1)
    with pytest.raises(UserError, match="id2label names 2 classes; the classifier has 1 outputs"):
        check_head(BERT, 1)
