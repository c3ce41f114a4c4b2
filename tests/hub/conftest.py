"""Packed models small enough for a test, as transformers loads them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import bebertlab.hub  # registers the classes
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.packed.write import PackSource, write_packed
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_bebert.merging import HardVoteOptions, WeightedMeanOptions, WeightedProbabilityOptions


@pytest.fixture(scope="session")
def templates(codec: OptionsCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed BiBERT, a regression, and two BiBERTs as ensembles of all sorts of rules."""
    folder = tmp_path_factory.mktemp("templates")
    tokenizer = read_tokenizer(tiny_tokenizer(folder / "tokenizer"))
    spec = codec.load({"kind": "bibert"}, SchemeOptions).spec()  # type: ignore[type-abstract]
    models = [tiny_model(tiny_task(), spec, seed=seed).eval() for seed in range(2)]
    names = ("blame", "praise")
    sources = {
        "single": PackSource(models=models[:1], tokenizer=tokenizer, classes=names, task="tiny"),
        "regression": PackSource(models=[tiny_model(tiny_task(regression=True), spec)], tokenizer=tokenizer),
    }
    ensemble = PackSource(models=models, tokenizer=tokenizer, classes=names, weights=(1.0, 2.0))
    sources |= {
        "probabilities": evolve(ensemble, rule=WeightedProbabilityOptions()),
        "logits": evolve(ensemble, rule=WeightedMeanOptions()),
        "votes": evolve(ensemble, rule=HardVoteOptions(), weights=(1.0, 1.0)),
    }
    for kind, source in sources.items():
        write_packed(source, folder / kind, codec)
    return folder


@pytest.fixture
def copy_packed(templates: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies a packed model of a kind into a folder of the test and returns it."""
    return lambda kind: Path(shutil.copytree(templates / kind, tmp_path / kind))


@pytest.fixture
def single(copy_packed: Callable[[str], Path]) -> Path:
    return copy_packed("single")


@pytest.fixture
def load() -> Callable[..., Any]:
    """Loads a folder by the Auto class of transformers."""
    from transformers import AutoModelForSequenceClassification

    bebertlab.hub.register()
    return AutoModelForSequenceClassification.from_pretrained  # type: ignore[no-any-return]
