from __future__ import annotations

import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import (
    INPUT_QUANTIZER,
    LINEAR_PATHS,
    POOLER,
    WEIGHT_QUANTIZER,
    WORD_EMBEDDINGS,
    QuantizedName,
    attention_quantizer_prefix,
    describe_names,
    is_bias,
    is_never_zero,
    is_norm_scale,
    is_of_body,
    is_of_classifier,
    is_position_embedding,
    is_word_embedding,
    layer_of,
    layer_path,
    layers_of,
    modern_name,
    parse_quantized_name,
    renamed,
    renumber_layer,
    unwrapped,
)

PLAIN = ("bert.embeddings.LayerNorm.weight", "bert.encoder.layer.0.output.dense.bias", "classifier.weight")


def plain(*names: str) -> list[str]:
    return list(unwrapped(dict.fromkeys(names, 0)))


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "network.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.module._orig_mod.model.",
        "_forward_module.model.",
        "_fsdp_wrapped_module._orig_mod.",
        "model.bert.",  # a script that names its classifier `bert`
    ],
)
def test_prefixes_of_wrappers_are_removed(prefix: str) -> None:
    assert plain(*(prefix + name for name in PLAIN)) == list(PLAIN)


def test_infixes_of_wrappers_are_removed() -> None:
    inside = [
        "_fsdp_wrapped_module.bert.embeddings._checkpoint_wrapped_module.LayerNorm.weight",
        "bert.module.encoder.layer.0._orig_mod.output._fsdp_wrapped_module.dense.bias",
        "classifier.module.weight",
    ]
    assert plain(*inside) == list(PLAIN)


def test_an_encoder_keeps_its_prefix() -> None:
    encoder = ["bert.embeddings.LayerNorm.weight", "bert.pooler.dense.bias"]
    assert plain(*encoder) == encoder
    assert plain(*(f"model.{name}" for name in encoder)) == encoder
    assert plain(*(f"bert.{name}" for name in encoder)) == encoder


def test_the_prefix_of_an_averaged_model_is_removed() -> None:
    assert plain("n_averaged", *(f"module.{name}" for name in PLAIN)) == list(PLAIN)


@pytest.mark.parametrize(
    "names",
    [
        ("model.classifier.weight", "criterion.weight"),
        ("student.classifier.weight", "student.classifier.bias"),
        ("roberta.embeddings.LayerNorm.weight",),
        ("base_model.model.classifier.weight",),
        ("model",),
        (),
    ],
)
def test_other_names_are_unchanged(names: tuple[str, ...]) -> None:
    assert plain(*names) == list(names)


def test_two_tensors_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match=r"^a\.b and a\.module\.b are both called a\.b; save only one of them$"):
        unwrapped({"a.b": 0, "a.module.b": 1})
    with pytest.raises(UserError, match=r"^x and y are both called z"):
        renamed({"x": 0, "y": 0}, {"x": "z", "y": "z"})


def test_names_are_grouped_by_prefix() -> None:
    assert describe_names(["a.b", "a.c"]) == "all names begin with a."
    assert describe_names(["b.c", "a.b", "d"]) == "names begin with a., b., d"
    assert describe_names([f"{letter}.x" for letter in "abcdefg"]) == "names begin with a., b., c., d., e. and 2 others"
    assert describe_names([]) == "there are no tensors"


@pytest.fixture
def names(sizes: Architecture, everywhere: QuantSpec) -> list[str]:
    """Of a quantized model with two branches in the pooler and in the word embedding."""
    spec = everywhere.with_branches({POOLER: 2, WORD_EMBEDDINGS: 2})
    return [*BertClassifier(sizes, spec).state_dict()]


def test_paths_are_those_of_the_model(sizes: Architecture) -> None:
    model = BertClassifier(sizes, QuantSpec())
    for path in (WORD_EMBEDDINGS, POOLER, *(f"{layer_path(1)}.{path}" for path in LINEAR_PATHS)):
        assert model.get_submodule(path).weight is not None


def test_every_tensor_has_one_meaning(names: list[str]) -> None:
    kinds = (is_word_embedding, is_position_embedding, is_norm_scale, is_of_classifier)
    plain = [name for name in names if parse_quantized_name(name) is None]
    assert [sum(map(kind, plain)) for kind in kinds] == [0, 2, 5, 2]
    assert sum(map(is_word_embedding, names)) == 2
    assert all(is_of_body(name) != is_of_classifier(name) for name in names)
    assert layers_of(names) == {0, 1}
    assert {name for name in plain if is_bias(name)} == {name for name in plain if name.endswith(".bias")}


def test_quantized_names_are_split_into_module_branch_and_parameter(names: list[str]) -> None:
    parsed = [quantized for name in names if (quantized := parse_quantized_name(name)) is not None]
    assert {quantized.quantizer for quantized in parsed} == {
        None,
        WEIGHT_QUANTIZER,
        INPUT_QUANTIZER,
        *(site for site in Site if site.startswith("attention_") and site is not Site.ATTENTION_OUTPUT),
    }
    assert {quantized.branch for quantized in parsed if quantized.module == POOLER} == {0, 1}
    inside = f"{attention_quantizer_prefix(1, Site.ATTENTION_VALUE)}step"
    assert inside in names
    assert parse_quantized_name(inside) == QuantizedName(
        "bert.encoder.layer.1.attention.self", "step", quantizer="attention_value"
    )


@pytest.mark.parametrize(
    ("name", "index"), [("bert.encoder.layer.12.output.dense.bias", 12), ("bert.encoder.layers.1.a", None), ("a", None)]
)
def test_layers_are_read_and_renumbered(name: str, index: int | None) -> None:
    assert layer_of(name) == index
    expected = name if index is None else name.replace("12", "3")
    assert renumber_layer(name, lambda old: old // 4) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("encoder.layer.0.output.LayerNorm.beta", "bert.encoder.layer.0.output.LayerNorm.bias"),
        ("bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
        ("classifier.bias", "classifier.bias"),
    ],
)
def test_old_names_become_current_names(old: str, new: str) -> None:
    assert modern_name(old) == new


def test_biases_may_be_all_zero_and_matrices_may_not() -> None:
    assert is_never_zero("bert.embeddings.LayerNorm.gamma")
    assert is_never_zero(f"{layer_path(0)}.attention.self.query.weight")
    assert not is_never_zero(f"{layer_path(0)}.attention.self.query.bias")
