from __future__ import annotations

import pytest

from bebertlab.errors import UserError
from bebertlab.model.parameter_names import describe_names, renamed, unwrapped

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
        "model.bert.",  # a script that calls its classifier `bert`
    ],
)
def test_what_wrappers_put_before_all_names_is_taken_off(prefix: str) -> None:
    assert plain(*(prefix + name for name in PLAIN)) == list(PLAIN)


def test_what_wrappers_put_inside_names_is_taken_out() -> None:
    inside = [
        "_fsdp_wrapped_module.bert.embeddings._checkpoint_wrapped_module.LayerNorm.weight",
        "bert.module.encoder.layer.0._orig_mod.output._fsdp_wrapped_module.dense.bias",
        "classifier.module.weight",
    ]
    assert plain(*inside) == list(PLAIN)


def test_an_encoder_keeps_its_own_name() -> None:
    encoder = ["bert.embeddings.LayerNorm.weight", "bert.pooler.dense.bias"]
    assert plain(*encoder) == encoder
    assert plain(*(f"model.{name}" for name in encoder)) == encoder
    assert plain(*(f"bert.{name}" for name in encoder)) == encoder


def test_the_mean_of_several_models_is_a_model() -> None:
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
def test_other_names_stay(names: tuple[str, ...]) -> None:
    assert plain(*names) == list(names)


def test_two_tensors_of_one_name_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"^a\.b and a\.module\.b are both called a\.b; save only the one that is meant$"
    ):
        unwrapped({"a.b": 0, "a.module.b": 1})
    with pytest.raises(UserError, match=r"^x and y are both called z"):
        renamed({"x": 0, "y": 0}, {"x": "z", "y": "z"})


def test_names_are_described_by_how_they_begin() -> None:
    assert describe_names(["a.b", "a.c"]) == "all names begin with a."
    assert describe_names(["b.c", "a.b", "d"]) == "names begin with a., b., d"
    assert describe_names([f"{letter}.x" for letter in "abcdefg"]) == "names begin with a., b., c., d., e. and 2 others"
    assert describe_names([]) == "there are no tensors"
