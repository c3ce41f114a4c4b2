"""Whole models against the published code, through the importers: outputs, inner tensors, loss, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from bebertlab.api import BertClassifier, ImporterOptions, Tap
from bebertlab_bibert import BebertBibertImporter, BibertImporter

if TYPE_CHECKING:
    from tests.conftest import Golden

IMPORTERS: dict[str, type[BibertImporter] | type[BebertBibertImporter]] = {
    "BiBERT": BibertImporter,
    "BEBERT/BiBERT": BebertBibertImporter,
}
TAPS = {
    "hidden": Tap.HIDDEN,
    "att": Tap.SCORES,
    "query_scores": Tap.QUERY_SIMILARITY,
    "key_scores": Tap.KEY_SIMILARITY,
    "value_scores": Tap.VALUE_SIMILARITY,
}
Models = list[tuple["Golden", ImporterOptions]]


@pytest.fixture(scope="module")
def models(golden_models: Callable[..., dict[str, Golden]]) -> Models:
    """All golden models of a published code that this plugin reads, each with its importer."""
    actual = golden_models("BiBERT", "BEBERT/BiBERT").values()
    return [(vectors, IMPORTERS[vectors.code()]()) for vectors in actual]


def model_of(vectors: Golden, importer: ImporterOptions) -> BertClassifier:
    checkpoint = importer.read(vectors.below("state"), vectors.meta["config"])
    return BertClassifier.from_checkpoint(checkpoint).eval()


def test_outputs_equal_the_published_ones(models: Models) -> None:
    for vectors, importer in models:
        model, batch = model_of(vectors, importer), vectors.batch()
        outputs = model(batch, frozenset(TAPS.values()))
        actual = {"logits": outputs.logits, "loss": vectors.loss(outputs.logits)}
        actual |= {f"{kind}_{i}": x for kind, tap in TAPS.items() for i, x in enumerate(outputs.taps[tap])}
        expected = vectors.below("out")
        assert actual.keys() == expected.keys()
        (tolerance,) = (value for what, value in vectors.meta["tolerance"].items() if "logits" in what)
        for what, tensor in expected.items():
            torch.testing.assert_close(actual[what], tensor, **tolerance)


def test_gradients_equal_the_published_ones(models: Models) -> None:
    for vectors, importer in models:
        model, batch = model_of(vectors, importer), vectors.batch()
        torch.autograd.backward(vectors.loss(model(batch).logits))
        parameters = dict(model.named_parameters())
        tolerance = vectors.meta["tolerance"]["grads"]
        stored = vectors.below("grad")
        assert stored
        for name, expected in stored.items():
            path, what = name.rsplit(".", 1)
            actual = parameters[name if name in parameters else f"{path}.branches.0.{what}"].grad
            assert actual is not None
            # the bias of the keys has hardly any effect: its gradient may be float noise around 0
            nearly = max(float(expected.abs().max()) * tolerance["atol_fraction_of_max"], 1e-7)
            assert ((actual - expected).abs() <= nearly + tolerance["rtol"] * expected.abs()).all(), name


def test_a_positive_sign_of_zero_changes_the_outputs(models: Models) -> None:
    """The golden outputs distinguish a third value."""
    for vectors, importer in models:
        if isinstance(importer, BibertImporter):  # BEBERT's vectors are chosen so that no score is 0
            logits = model_of(vectors, BibertImporter(as_published=False))(vectors.batch()).logits.detach()
            assert float((logits - vectors.tensors["out/logits"]).abs().max()) > 0.005
