from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import BertClassifier, UserError
from bebertlab.model.huggingface import configuration
from bebertlab.model.requantize import apply_spec
from bebertlab.testing import check_importer
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_bibert import BebertBibertImporter, BebertBibertScheme, BibertImporter, BibertScheme

QUERY = "bert.encoder.layer.0.attention.self.query"


@pytest.fixture
def published() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A full-precision model with the additional tensors of the published code, and its settings."""
    model = tiny_model(tiny_task(), seed=3)
    tensors = dict(model.state_dict())
    for name in [name for name in tensors if ".attention.self.query.weight" in name]:
        layer = name.removesuffix(".attention.self.query.weight")
        tensors |= {f"{layer}.attention.self.{x}.scale": torch.zeros(()) for x in ("query", "key", "value")}
        tensors |= {f"{layer}.{x}.gate": torch.ones(()) for x in ("attention.output", "output")}
        tensors |= {f"{layer}.attention.self.clip_{x}": torch.ones(2) for x in ("query", "key", "value", "attn")}
        tensors |= {f"{layer}.intermediate.dense.{x}_clip_val": torch.ones(2) for x in ("weight", "act")}
    tensors |= {"bert.pooler.dense.scale": torch.zeros(()), "bert.embeddings.position_ids": torch.arange(32)[None]}
    settings = configuration(model.architecture)
    for name in ("num_labels", "id2label"):
        settings.pop(name, None)
    return tensors, {**settings, "weight_bits": 1, "input_bits": 1, "quantize_act": True}


@pytest.mark.parametrize(
    ("importer", "scheme"), [(BibertImporter, BibertScheme), (BebertBibertImporter, BebertBibertScheme)]
)
@pytest.mark.parametrize("as_published", [False, True])
def test_weights_are_renamed_and_unused_ones_omitted(
    published: tuple[dict[str, Tensor], dict[str, Any]],
    importer: type[BibertImporter] | type[BebertBibertImporter],
    scheme: type[BibertScheme] | type[BebertBibertScheme],
    as_published: bool,
) -> None:
    tensors, config = published
    checkpoint = importer(as_published=as_published).read(tensors, config)
    expected = apply_spec(tiny_model(tiny_task(), seed=3).checkpoint(), scheme(as_published=as_published).spec())
    assert checkpoint.spec == expected.spec
    assert checkpoint.architecture == expected.architecture
    assert checkpoint.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(tensor, expected.tensors[name]) for name, tensor in checkpoint.tensors.items())
    BertClassifier.from_checkpoint(checkpoint)


def test_the_tensors_are_copies_in_single_precision(published: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = published
    tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    checkpoint = BibertImporter().read(tensors, config)
    assert {tensor.dtype for tensor in checkpoint.tensors.values()} == {torch.float32}
    assert checkpoint.tensors["classifier.weight"].data_ptr() != tensors["classifier.weight"].data_ptr()


def test_names_of_old_checkpoints(published: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = published
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): x
        for name, x in tensors.items()
    }
    actual = BibertImporter().read(renamed, config).tensors
    assert all(torch.equal(x, actual[name]) for name, x in BibertImporter().read(tensors, config).tensors.items())


def test_a_narrow_attention_has_a_different_head_size(published: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = published
    width = 8
    narrow = {
        name: x[:width] if ".attention.self." in name and x.ndim and "clip" not in name else x
        for name, x in tensors.items()
    }
    narrow |= {name: x[:, :width] for name, x in tensors.items() if name.endswith("attention.output.dense.weight")}
    actual = BibertImporter().read(narrow, {**config, "dyna_hidden_size": width})
    assert (actual.architecture.heads, actual.architecture.head_size) == (2, 4)
    with pytest.raises(UserError, match="dyna_hidden_size 9 is not a multiple of num_attention_heads 2"):
        BibertImporter().read(narrow, {**config, "dyna_hidden_size": 9})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_bits": 2}, "weight_bits is 2; BiBERT has weights and activations of 1 bit"),
        ({"input_bits": 8, "quantize_act": False}, "input_bits is 8, quantize_act is False"),
        ({"hidden_size": 32}, r"not a checkpoint of BiBERT.*wrong shape"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3; the weights have 2"),
        ({"model_type": "roberta"}, "only 'bert' is supported"),
        ({"architectures": ["BertForTokenClassification"]}, "whose classifier is not one of whole texts"),
        ({"num_labels": 7}, "num_labels names 7 classes; the classifier has 2 outputs"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    published: tuple[dict[str, Tensor], dict[str, Any]], change: dict[str, Any], message: str
) -> None:
    tensors, config = published
    with pytest.raises(UserError, match=message):
        BibertImporter().read(tensors, {**config, **change})


def test_a_model_in_full_precision_is_refused(published: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = published
    silent = {name: value for name, value in config.items() if name not in ("weight_bits", "input_bits")}
    BibertImporter().read(tensors, silent)  # its tensors identify it
    plain = dict(tiny_model(tiny_task(), seed=3).state_dict())
    with pytest.raises(UserError, match="lacks weight_bits and input_bits, and no tensor is one of a BiBERT"):
        BibertImporter().read(plain, silent)


def test_other_checkpoints_are_refused(published: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = published
    with pytest.raises(UserError, match=r"unexpected: bert\.pooler\.dense\.move\.bias"):
        BibertImporter().read({**tensors, "bert.pooler.dense.move.bias": torch.zeros(16)}, config)
    with pytest.raises(UserError, match=r"no tensor is called classifier\.weight"):
        BibertImporter().read({name: x for name, x in tensors.items() if "classifier" not in name}, config)


def test_a_checkpoint_of_signs_without_scales_is_refused(published: tuple[dict[str, Tensor], dict[str, Any]]) -> None:
    tensors, config = published
    signs = {name: x.sign() if name == f"{QUERY}.weight" else x for name, x in tensors.items()}
    with pytest.raises(UserError, match=r"only signs: .* lacks the scales"):
        BibertImporter().read(signs, config)


@pytest.mark.parametrize("importer", [BibertImporter(), BebertBibertImporter()])
def test_keeps_the_contract_of_importers(
    published: tuple[dict[str, Tensor], dict[str, Any]], importer: BibertImporter | BebertBibertImporter
) -> None:
    check_importer(importer, *published)
