"""Whole models against the published code, through the importers: outputs, inner tensors, loss, gradients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F

from bebertlab.api import Batch, BertClassifier, ImporterOptions, Tap
from bebertlab_bibert import BebertBibertImporter, BibertImporter

if TYPE_CHECKING:
    from tests.conftest import Golden

IMPORTERS: dict[str, type[BibertImporter] | type[BebertBibertImporter]] = {
    "htqin/BiBERT": BibertImporter,
    "TTTTTTris/BEBERT": BebertBibertImporter,
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
def models(golden: Callable[[str], Golden], golden_folder: Path) -> Models:
    """All golden models of a published code that this plugin reads, each with its importer."""
    found = [golden(name) for name in _names(golden_folder)]
    assert found
    return [(vectors, IMPORTERS[vectors.meta["sources"][0]["repo"]]()) for vectors in found]


def _names(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("model_*.json")):
        source = json.loads(path.read_text(encoding="utf-8"))["sources"][0]
        if "BiBERT" in f"{source['repo']}/{source['file']}":  # BEBERT's copy is a folder of that name
            yield path.stem


def model_of(vectors: Golden, importer: ImporterOptions) -> BertClassifier:
    state = {name.removeprefix("state/"): x for name, x in vectors.tensors.items() if name.startswith("state/")}
    return BertClassifier.from_checkpoint(importer.read(state, vectors.meta["config"])).eval()


def batch_of(vectors: Golden) -> Batch:
    t = vectors.tensors
    return Batch(
        positions=torch.arange(len(t["in/labels"])),
        tokens=t["in/input_ids"],
        segments=t["in/token_type_ids"],
        mask=t["in/attention_mask"].bool(),
        labels=t["in/labels"],
    )


def test_outputs(models: Models) -> None:
    for vectors, importer in models:
        model, batch = model_of(vectors, importer), batch_of(vectors)
        outputs = model(batch, frozenset(TAPS.values()))
        found = {"logits": outputs.logits, "loss": F.cross_entropy(outputs.logits, batch.labels)}
        found |= {f"{kind}_{i}": x for kind, tap in TAPS.items() for i, x in enumerate(outputs.taps[tap])}
        wanted = {name.removeprefix("out/"): x for name, x in vectors.tensors.items() if name.startswith("out/")}
        assert found.keys() == wanted.keys()
        (tolerance,) = (value for what, value in vectors.meta["tolerance"].items() if "logits" in what)
        for what, tensor in wanted.items():
            torch.testing.assert_close(found[what], tensor, **tolerance)


def test_gradients(models: Models) -> None:
    for vectors, importer in models:
        model, batch = model_of(vectors, importer), batch_of(vectors)
        torch.autograd.backward(F.cross_entropy(model(batch).logits, batch.labels))
        parameters = dict(model.named_parameters())
        tolerance = vectors.meta["tolerance"]["grads"]
        stored = {name.removeprefix("grad/"): x for name, x in vectors.tensors.items() if name.startswith("grad/")}
        assert stored
        for name, wanted in stored.items():
            path, what = name.rsplit(".", 1)
            found = parameters[name if name in parameters else f"{path}.branches.0.{what}"].grad
            assert found is not None
            # the bias of the keys has hardly any effect: its gradient may be float noise around 0
            nearly = max(float(wanted.abs().max()) * tolerance["atol_fraction_of_max"], 1e-7)
            assert ((found - wanted).abs() <= nearly + tolerance["rtol"] * wanted.abs()).all(), name


def test_zeros_that_count_as_one_are_another_model(models: Models) -> None:
    """The vectors tell a third value from two."""
    for vectors, importer in models:
        if isinstance(importer, BibertImporter):  # BEBERT's vectors are chosen so that no score is 0
            logits = model_of(vectors, BibertImporter(as_published=False))(batch_of(vectors)).logits.detach()
            assert float((logits - vectors.tensors["out/logits"]).abs().max()) > 0.005
