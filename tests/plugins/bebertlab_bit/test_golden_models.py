"""Whole models against the published code, through the importer: outputs, inner tensors, loss, gradients."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve

from bebertlab.api import BertClassifier, Tap
from bebertlab_bit import BitImporter

if TYPE_CHECKING:
    from tests.conftest import Golden

TAPS = {"hidden": Tap.HIDDEN, "att": Tap.SCORES}


@pytest.fixture(scope="module")
def models(golden_models: Callable[..., dict[str, Golden]]) -> list[Golden]:
    return list(golden_models("bit").values())


def model_of(vectors: Golden, *, fresh: bool = False) -> BertClassifier:
    """The model; fresh: with every scale at 1, as the published code has it before the first batch."""
    state = vectors.below("state")
    if fresh:
        state = {name: torch.ones_like(x) if "clip_" in name else x for name, x in state.items()}
    # no dropout also in training: the published numbers were made without
    config = {**vectors.meta["config"], "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertClassifier.from_checkpoint(BitImporter(as_published=True).read(state, config)).eval()


def values_of(vectors: Golden) -> dict[str, Any]:
    (tolerance,) = (value for what, value in vectors.meta["tolerance"].items() if "logits" in what)
    return dict(tolerance)


def bebertlab_name(name: str, names: set[str]) -> str:
    """The bebertlab name of a published parameter."""
    if inside := re.fullmatch(r"(.*)\.clip_(\w+)", name):
        return f"{inside[1]}.quantizers.attention_{inside[2].replace('attn', 'probabilities')}.scale"
    for theirs, what in {"move.bias": "input_quantizer.shift", "input_clip_val": "input_quantizer.scale"}.items():
        if name.endswith(f".{theirs}"):
            return f"{name.removesuffix(theirs)}branches.0.{what}"
    path, what = name.rsplit(".", 1)
    return name if name in names else f"{path}.branches.0.{what}"


def test_outputs_equal_the_published_ones(models: list[Golden]) -> None:
    for vectors in models:
        model, batch = model_of(vectors), vectors.batch()
        outputs = model(batch, frozenset(TAPS.values()))
        actual = {"logits": outputs.logits, "loss": vectors.loss(outputs.logits)}
        actual |= {f"{kind}_{i}": x for kind, tap in TAPS.items() for i, x in enumerate(outputs.taps[tap])}
        expected = vectors.below("out")
        assert actual.keys() == expected.keys()
        for what, tensor in expected.items():
            torch.testing.assert_close(actual[what], tensor, **values_of(vectors))
        torch.testing.assert_close(model(batch).logits, expected["logits"], **values_of(vectors))


def test_gradients_equal_the_published_ones(models: list[Golden]) -> None:
    for vectors in models:
        model, batch = model_of(vectors), vectors.batch()
        torch.autograd.backward(vectors.loss(model(batch).logits))
        parameters = dict(model.named_parameters())
        tolerance = vectors.meta["tolerance"]["grads"]
        stored = vectors.below("grad")
        assert stored
        for name, expected in stored.items():
            actual = parameters[bebertlab_name(name, set(parameters))].grad
            assert actual is not None
            # the bias of the keys has hardly any effect: its gradient may be float noise around 0
            nearly = max(float(expected.abs().max()) * tolerance["atol_fraction_of_max"], 1e-7)
            assert ((actual - expected).abs() <= nearly + tolerance["rtol"] * expected.abs()).all(), name


def test_scales_initialized_by_the_first_batch_equal_the_published_ones(models: list[Golden]) -> None:
    for vectors in (vectors for vectors in models if "fresh/logits" in vectors.tensors):
        model = model_of(vectors, fresh=True)
        logits = model(vectors.batch()).logits  # in evaluation as in training, but nothing is kept
        assert not any(flag for name, flag in model.named_buffers() if name.endswith(".initialised"))
        torch.testing.assert_close(model.train()(vectors.batch()).logits, logits, rtol=0, atol=0)
        scales = vectors.below("fresh")
        torch.testing.assert_close(logits, scales.pop("logits"), **values_of(vectors))
        assert scales
        parameters = dict(model.named_parameters())
        for name, scale in scales.items():
            actual = parameters[bebertlab_name(name, set(parameters))].detach()
            torch.testing.assert_close(actual, scale, rtol=1e-4, atol=1e-6)


def test_golden_outputs_distinguish_the_sign_rules(models: list[Golden]) -> None:
    for vectors in (vectors for vectors in models if vectors.meta["config"]["input_bits"] == 1):
        config = {**vectors.meta["config"], "sym_quant_ffn_attn": not vectors.meta["config"]["sym_quant_ffn_attn"]}
        logits = model_of(evolve(vectors, meta={**vectors.meta, "config": config}))(vectors.batch()).logits.detach()
        assert float((logits - vectors.tensors["out/logits"]).abs().max()) > 0.005
