from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from bebertlab.bench.measurement import RowSpec
from bebertlab.bench.models import SCHEMES, SHAPES, W1A8, BenchConfig, BenchScheme, full_precision, match_schemes
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier
from bebertlab.model.embedding import QuantizedEmbedding
from bebertlab.model.linear import QuantizedLinear

CONFIG = BenchConfig(shape="tiny")


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "heads", "head_size", "ffn"),
    [("minilm", 6, 384, 12, 32, 1536), ("base", 12, 768, 12, 64, 3072)],
)
def test_shapes_are_those_of_published_models(
    name: str, layers: int, hidden: int, heads: int, head_size: int, ffn: int
) -> None:
    shape = SHAPES[name]
    sizes = (shape.layers, shape.hidden, shape.heads, shape.head_size, shape.ffn)
    assert sizes == (layers, hidden, heads, head_size, ffn)
    assert shape.vocabulary == 30_522
    assert shape.dropout == 0.1


def test_config_can_be_sent_to_another_process() -> None:
    config = BenchConfig(shape="tiny", quick=True)
    assert pickle.loads(pickle.dumps(config)) == config


def test_quick_runs_fewer_steps() -> None:
    quick, full = BenchConfig(quick=True), BenchConfig()
    assert quick.total_steps < full.total_steps
    assert quick.repeats >= 3  # the median of two would be their mean


def test_blocks_on_a_gpu_have_more_steps() -> None:
    assert BenchConfig(device="cuda:0").on_gpu
    assert BenchConfig(device="cuda").steps > BenchConfig().steps


def test_split_model_has_as_many_weights_as_full_precision_in_two_branches() -> None:
    split, full = W1A8.build(CONFIG), full_precision(CONFIG)
    assert all(len(module.branches) == 2 for module in split.modules() if isinstance(module, QuantizedLinear))
    assert _encoder_weights(split) == _encoder_weights(full)
    assert isinstance(split.bert.embeddings.word_embeddings, QuantizedEmbedding)


def _encoder_weights(model: BertClassifier) -> int:
    return sum(p.numel() for path, p in model.named_parameters() if "encoder" in path and p.ndim == 2)


@pytest.mark.parametrize(
    "scheme", [scheme for scheme in SCHEMES if scheme.installed(CONFIG)], ids=lambda scheme: scheme.name
)
def test_models_have_seeded_random_weights_and_new_quantizers(scheme: BenchScheme) -> None:
    model = scheme.build(CONFIG)
    assert _equal_tensors(model, scheme.build(CONFIG))
    weights = [p.detach() for p in model.parameters() if p.ndim == 2 and p.numel() > 1000]
    assert all(float(weight.std()) == pytest.approx(0.02, rel=0.2) for weight in weights)
    new = BertClassifier(model.architecture, model.spec)
    pairs = zip(_quantizers(model), _quantizers(new), strict=True)
    assert all(_equal_tensors(quantizer, expected) for quantizer, expected in pairs)


def _quantizers(model: nn.Module) -> list[Quantizer]:
    return [module for module in model.modules() if isinstance(module, Quantizer)]


def _equal_tensors(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_rows_named_after_installed_schemes_are_matched() -> None:
    specs = [RowSpec(name=name, description="", better="lower") for name in ("step.w1a8", "step.own")]
    installed, missing = match_schemes(specs, CONFIG)
    assert [(spec.name, scheme.name) for spec, scheme in installed] == [("step.w1a8", "w1a8")]
    assert missing == []


def test_row_is_missing_if_no_plugin_provides_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = BenchScheme(name="new", description="New", options={"kind": "no-such-scheme"})
    monkeypatch.setattr("bebertlab.bench.models.SCHEMES", (unknown,))
    installed, missing = match_schemes([RowSpec(name="step.new", description="", better="lower")], CONFIG)
    assert installed == []
    assert missing[0].reason == "no plugin provides the scheme 'no-such-scheme'"
