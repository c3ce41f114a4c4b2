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


#: who reads the models of a published code; BinaryBERT's code, the full-precision ones too
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


def assert_close(found: Tensor, wanted: Tensor, tolerance: Mapping[str, Any], what: str) -> None:
    torch.testing.assert_close(found, wanted, **tolerance, msg=lambda text: f"{what}: {text}")


def test_outputs(models: dict[str, Golden]) -> None:
    for name, vectors in models.items():
        model = BertClassifier.from_checkpoint(imported(vectors, vectors.below("state"))).eval()
        batch, tolerance = vectors.batch(), vectors.meta["tolerance"]["logits, hidden, scores, loss"]
        outputs = model(batch, frozenset({Tap.HIDDEN, Tap.SCORES}))
        found = {"logits": outputs.logits, "loss": vectors.loss(outputs.logits)}
        found |= {f"hidden_{index}": hidden for index, hidden in enumerate(outputs.taps[Tap.HIDDEN])}
        found |= {f"att_{index}": scores for index, scores in enumerate(outputs.taps[Tap.SCORES])}
        wanted = vectors.below("out")
        assert found.keys() == wanted.keys()
        for what, tensor in wanted.items():
            assert_close(found[what], tensor, tolerance, f"{name}: {what}")
        assert_close(model(batch).logits, wanted["logits"], tolerance, name)  # without taps attention may be fused


def test_gradients(models: dict[str, Golden]) -> None:
    for name, vectors in models.items():
        state, published = vectors.below("state"), vectors.below("grad")
        checkpoint = imported(vectors, state)
        model, batch = BertClassifier.from_checkpoint(checkpoint).eval(), vectors.batch()
        torch.autograd.backward(vectors.loss(model(batch).logits))
        # the importer gives the gradients our names, as it gives them to the tensors they belong to; it reads the clips
        # of TernaryBERT, which have none
        fixed = {key for key in state if key.endswith("_clip_val") and vectors.code() == "TernaryBERT"}
        blank = {key: t if key in fixed else torch.full_like(t, torch.nan) for key, t in state.items()}
        marked = imported(vectors, blank | published)
        largest = max(float(gradient.abs().max()) for gradient in published.values())
        compared = 0
        for own, parameter in model.named_parameters():
            wanted = marked.tensors[own]
            if not wanted.isnan().any():
                assert parameter.grad is not None, own
                close_to_the_largest(parameter.grad, wanted, largest, vectors, f"{name}: {own}")
                compared += 1
        assert compared == len(published)


def close_to_the_largest(found: Tensor, wanted: Tensor, largest: float, vectors: Golden, what: str) -> None:
    tolerance = vectors.meta["tolerance"]["grads"]
    # the bias of the keys has no effect: its gradient is float noise around 0
    floor = max(float(wanted.abs().max()) * tolerance["atol_fraction_of_max"], 1e-6 * largest, 1e-7)
    difference = (found - wanted).abs()
    assert (difference <= floor + tolerance["rtol"] * wanted.abs()).all(), f"{what} is off by {difference.max()}"


def test_steps_that_the_first_batch_sets(models: dict[str, Golden]) -> None:
    fresh = {name: vectors for name, vectors in models.items() if vectors.below("fresh")}
    for name, vectors in fresh.items():
        steps = vectors.below("fresh")
        logits = steps.pop("logits")
        wanted = imported(vectors, vectors.below("state") | steps)
        sizes = evolve(wanted.architecture, dropout=0.0, attention_dropout=0.0)
        flags = [key for key in wanted.tensors if key.endswith(".initialised")]
        places = [flag.removesuffix("initialised") + "step" for flag in flags]
        assert len(places) == len(steps) > 0
        unset = {flag: torch.tensor(False) for flag in flags} | {place: torch.tensor(1.0) for place in places}
        start = evolve(wanted, architecture=sizes, tensors={**wanted.tensors, **unset})
        model = BertClassifier.from_checkpoint(start).train()
        tolerance = vectors.meta["tolerance"]["logits, hidden, scores, loss"]
        assert_close(model(vectors.batch()).logits, logits, tolerance, name)
        for step in places:
            rtol = 1e-5 if "layer.0" in step else 1e-4
            found = model.get_parameter(step).detach()
            assert_close(found, wanted.tensors[step], {"rtol": rtol, "atol": 1e-6}, f"{name}: {step}")


def test_another_flag_is_far_off(models: dict[str, Golden]) -> None:
    """The tolerance tells symmetric from asymmetric."""
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
