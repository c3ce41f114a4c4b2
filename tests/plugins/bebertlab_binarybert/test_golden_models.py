"""Whole models, imported, against the published code: logits, hidden states, scores, losses, gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import BertClassifier, Checkpoint, ImporterOptions, Tap
from bebertlab_binarybert import BinaryBertImporter, TernaryBertImporter

if TYPE_CHECKING:
    from tests.conftest import Golden


#: importers of the models of a published code; BinaryBERT's code, the full-precision ones too
IMPORTERS: dict[str, ImporterOptions] = {
    "BinaryBERT": BinaryBertImporter(),
    "TernaryBERT": TernaryBertImporter(),
    "BEBERT/binarybert": BinaryBertImporter(),
}


@pytest.fixture(scope="module")
def models(golden_models: Callable[..., dict[str, Golden]]) -> dict[str, Golden]:
    """The golden models of BinaryBERT and TernaryBERT and the full-precision ones, by file name."""
    return golden_models("BinaryBERT", "TernaryBERT", "BEBERT/binarybert")


def imported(vectors: Golden, tensors: Mapping[str, Tensor], **settings: object) -> Checkpoint:
    return IMPORTERS[vectors.code()].read(tensors, {**vectors.meta["config"], **settings})


def assert_close(actual: Tensor, expected: Tensor, tolerance: Mapping[str, Any], what: str) -> None:
    torch.testing.assert_close(actual, expected, **tolerance, msg=lambda text: f"{what}: {text}")


def test_outputs_equal_the_published_ones(models: dict[str, Golden]) -> None:
    for name, vectors in models.items():
        model = BertClassifier.from_checkpoint(imported(vectors, vectors.below("state"))).eval()
        batch, tolerance = vectors.batch(), vectors.meta["tolerance"]["logits, hidden, scores, loss"]
        outputs = model(batch, frozenset({Tap.HIDDEN, Tap.SCORES}))
        actual = {"logits": outputs.logits, "loss": vectors.loss(outputs.logits)}
        actual |= {f"hidden_{index}": hidden for index, hidden in enumerate(outputs.taps[Tap.HIDDEN])}
        actual |= {f"att_{index}": scores for index, scores in enumerate(outputs.taps[Tap.SCORES])}
        expected = vectors.below("out")
        assert actual.keys() == expected.keys()
        for what, tensor in expected.items():
            assert_close(actual[what], tensor, tolerance, f"{name}: {what}")
        assert_close(model(batch).logits, expected["logits"], tolerance, name)  # without taps attention may be fused


def test_gradients_equal_the_published_ones(models: dict[str, Golden]) -> None:
    for name, vectors in models.items():
        state, published = vectors.below("state"), vectors.below("grad")
        checkpoint = imported(vectors, state)
        model, batch = BertClassifier.from_checkpoint(checkpoint).eval(), vectors.batch()
        torch.autograd.backward(vectors.loss(model(batch).logits))
        # the importer renames the gradients like the tensors that they belong to; it reads the clips
        # of TernaryBERT, which have none
        fixed = {key for key in state if key.endswith("_clip_val") and vectors.code() == "TernaryBERT"}
        blank = {key: t if key in fixed else torch.full_like(t, torch.nan) for key, t in state.items()}
        marked = imported(vectors, blank | published)
        largest = max(float(gradient.abs().max()) for gradient in published.values())
        compared = 0
        for name, parameter in model.named_parameters():
            expected = marked.tensors[name]
            if not expected.isnan().any():
                assert parameter.grad is not None, name
                close_to_the_largest(parameter.grad, expected, largest, vectors, f"{name}: {name}")
                compared += 1
        assert compared == len(published)


def close_to_the_largest(actual: Tensor, expected: Tensor, largest: float, vectors: Golden, what: str) -> None:
    tolerance = vectors.meta["tolerance"]["grads"]
    # the bias of the keys has no effect: its gradient is float noise around 0
    floor = max(float(expected.abs().max()) * tolerance["atol_fraction_of_max"], 1e-6 * largest, 1e-7)
    difference = (actual - expected).abs()
    assert (difference <= floor + tolerance["rtol"] * expected.abs()).all(), f"{what} is off by {difference.max()}"


def test_steps_initialized_by_the_first_batch_equal_the_published_ones(models: dict[str, Golden]) -> None:
    fresh = {name: vectors for name, vectors in models.items() if vectors.below("fresh")}
    for name, vectors in fresh.items():
        steps = vectors.below("fresh")
        logits = steps.pop("logits")
        expected = imported(vectors, vectors.below("state") | steps)
        sizes = evolve(expected.architecture, dropout=0.0, attention_dropout=0.0)
        flags = [key for key in expected.tensors if key.endswith(".initialised")]
        positions = [flag.removesuffix("initialised") + "step" for flag in flags]
        assert len(positions) == len(steps) > 0
        unset = {flag: torch.tensor(False) for flag in flags} | {position: torch.tensor(1.0) for position in positions}
        start = evolve(expected, architecture=sizes, tensors={**expected.tensors, **unset})
        model = BertClassifier.from_checkpoint(start).train()
        tolerance = vectors.meta["tolerance"]["logits, hidden, scores, loss"]
        assert_close(model(vectors.batch()).logits, logits, tolerance, name)
        for step in positions:
            rtol = 1e-5 if "layer.0" in step else 1e-4
            actual = model.get_parameter(step).detach()
            assert_close(actual, expected.tensors[step], {"rtol": rtol, "atol": 1e-6}, f"{name}: {step}")


def test_another_flag_changes_the_outputs(models: dict[str, Golden]) -> None:
    """The tolerance distinguishes symmetric from asymmetric."""
    flipped = 0
    for name, vectors in models.items():
        flag = vectors.meta["config"].get("sym_quant_ffn_attn")
        if flag is not None and vectors.meta["config"]["input_bits"] <= 8:
            wrong = imported(vectors, vectors.below("state"), sym_quant_ffn_attn=not flag)
            logits = BertClassifier.from_checkpoint(wrong).eval()(vectors.batch()).logits.detach()
            difference = float((logits - vectors.tensors["out/logits"]).abs().max())
            assert difference > 0.005, name
            flipped += 1
    assert flipped
