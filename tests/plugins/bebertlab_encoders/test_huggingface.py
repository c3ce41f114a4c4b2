from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.model.bert import BertClassifier
from bebertlab.registry.manager import load_plugins
from bebertlab_encoders.huggingface import HuggingFaceImporter

if TYPE_CHECKING:
    from tests.conftest import Golden


@pytest.fixture
def files(pretrained: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration of a classifier of five classes."""
    return load_file(pretrained / "model.safetensors"), json.loads((pretrained / "config.json").read_text())


def test_the_importer_is_registered() -> None:
    assert load_plugins().registry.find("importer", "huggingface") is HuggingFaceImporter


def test_current_parameter_names_are_read(
    files: tuple[dict[str, Tensor], dict[str, Any]], pretrained_sizes: Architecture
) -> None:
    tensors, config = files
    checkpoint = HuggingFaceImporter().read({name: t.to(torch.float16) for name, t in tensors.items()}, config)
    assert (checkpoint.architecture, checkpoint.spec) == (pretrained_sizes, QuantSpec())
    assert {tensor.dtype for tensor in checkpoint.tensors.values()} == {torch.float32}
    BertClassifier.from_checkpoint(checkpoint)


def test_the_oldest_parameter_names_are_read(files: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = files
    old = {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): t for name, t in tensors.items()
    }
    old |= {"bert.embeddings.position_ids": torch.arange(16), "cls.predictions.bias": torch.zeros(9)}
    del config["type_vocab_size"]
    imported = HuggingFaceImporter().read(old, config).tensors
    assert imported.keys() == tensors.keys()
    assert all(torch.equal(imported[name], tensors[name]) for name in tensors)


def test_outputs_are_those_of_the_published_code(golden: Callable[[str], Golden]) -> None:
    vectors = golden("model_fp")
    checkpoint = HuggingFaceImporter().read(vectors.below("state"), vectors.meta["config"])
    logits = BertClassifier.from_checkpoint(checkpoint).eval()(vectors.batch()).logits
    tolerance = vectors.meta["tolerance"]["logits, hidden, scores, loss"]
    torch.testing.assert_close(logits, vectors.tensors["out/logits"], **tolerance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classifier.weight": None},
            r"no tensor is called classifier\.weight, .*: names begin with bert\., classifier\.",
        ),
        ({"bert.pooler.dense.bias": None}, r"missing: bert\.pooler\.dense\.bias \(8,\)"),
        ({"bert.pooler.dense.weight": torch.ones(4, 8)}, r"dense\.weight is \(4, 8\), should be \(8, 8\)"),
        ({"bert.encoder.layer.0.attention.self.clip_query": torch.ones(2)}, r"unexpected: .*clip_query \(2,\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    files: tuple[dict[str, Tensor], dict[str, Any]], changes: dict[str, Tensor | None], message: str
) -> None:
    tensors, config = files
    changed = {name: t for name, t in (tensors | changes).items() if t is not None}
    with pytest.raises(UserError, match=message):
        HuggingFaceImporter().read(changed, config)


def test_a_configuration_of_another_size_is_refused(files: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = files
    with pytest.raises(UserError, match="num_hidden_layers is 4; the weights have 3"):
        HuggingFaceImporter().read(tensors, {**config, "num_hidden_layers": 4})
    with pytest.raises(UserError, match="lacks vocab_size"):
        HuggingFaceImporter().read(tensors, {name: v for name, v in config.items() if name != "vocab_size"})
