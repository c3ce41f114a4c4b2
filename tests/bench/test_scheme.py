from __future__ import annotations

import pytest
import torch
from torch import nn

from bebertlab.bench.row import Goal
from bebertlab.bench.scheme import SCHEMES, W1A8, Scheme, by_scheme, full_precision
from bebertlab.bench.setting import Setting
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier
from bebertlab.model.embedding import QuantizedEmbedding
from bebertlab.model.linear import QuantizedLinear

SETTING = Setting(shape="tiny")


def test_a_split_model_has_the_matrices_of_the_full_one_in_two_halves() -> None:
    split, full = W1A8.build(SETTING), full_precision(SETTING)
    assert all(len(module.branches) == 2 for module in split.modules() if isinstance(module, QuantizedLinear))
    count = {
        name: sum(p.numel() for path, p in model.named_parameters() if "encoder" in path and p.ndim == 2)
        for name, model in {"split": split, "full": full}.items()
    }
    assert count["split"] == count["full"]
    assert isinstance(split.bert.embeddings.word_embeddings, QuantizedEmbedding)


@pytest.mark.parametrize("scheme", [one for one in SCHEMES if one.installed(SETTING)], ids=lambda one: one.name)
def test_weights_are_drawn_and_quantizers_are_fresh(scheme: Scheme) -> None:
    one, same = scheme.build(SETTING), scheme.build(SETTING)
    assert _equal(one, same)
    weights = [p.detach() for p in one.parameters() if p.ndim == 2 and p.numel() > 1000]
    assert all(float(weight.std()) == pytest.approx(0.02, rel=0.2) for weight in weights)
    fresh = BertClassifier(one.architecture, one.spec)
    assert all(_equal(ours, new) for ours, new in zip(_quantizers(one), _quantizers(fresh), strict=True))


def _quantizers(model: nn.Module) -> list[Quantizer]:
    return [module for module in model.modules() if isinstance(module, Quantizer)]


def _equal(one: nn.Module, other: nn.Module) -> bool:
    """Whether all their tensors are the same."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_a_scheme_that_no_plugin_has_is_missing() -> None:
    wanted = [Goal(name="step.w1a8", what="", better="lower"), Goal(name="step.own", what="", better="lower")]
    there, missing = by_scheme(wanted, SETTING)
    assert [(target.name, scheme.name) for target, scheme in there] == [("step.w1a8", "w1a8")]
    assert missing == []


def test_why_a_scheme_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = Scheme(name="new", what="New", options={"kind": "no-such-scheme"})
    monkeypatch.setattr("bebertlab.bench.scheme.SCHEMES", (unknown,))
    there, missing = by_scheme([Goal(name="step.new", what="", better="lower")], SETTING)
    assert there == []
    assert missing[0].reason == "no plugin has the scheme 'no-such-scheme'"
