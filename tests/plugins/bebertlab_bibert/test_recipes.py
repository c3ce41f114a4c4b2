"""The shipped recipes: what they set for each task, and that they plan on generated data."""

from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.api import Codec
from bebertlab.config.codec import OptionsCodec
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.pipeline.paths import set_value
from bebertlab.pipeline.read import read_recipe, structure_recipe
from bebertlab.pipeline.recipe import Recipe
from bebertlab.registry.manager import load_plugins
from bebertlab_bibert import BebertBibertScheme, BibertScheme, DirectionMatchingDistillation
from bebertlab_encoders.pretrained import PretrainedEncoder
from bebertlab_stages.members import MembersStage
from bebertlab_stages.training import DistillStage

RECIPES = Path(__file__).parents[3] / "studies" / "recipes"
#: epochs, maximum length, BiBERT's learning rate and seed, from the published scripts
SETTINGS = {
    "cola": (50, 64, 1e-4, 42),
    "mnli": (5, 128, 5e-5, 42),
    "mrpc": (20, 128, 2e-4, 42),
    "sst2": (10, 64, 1e-4, 42),
    "stsb": (20, 128, 1e-4, 42),
    "qqp": (5, 128, 1e-4, 42),
    "qnli": (10, 128, 1e-4, 101),
    "rte": (20, 128, 1e-5, 42),
}


def recipe(name: str, codec: Codec, **changes: object) -> Recipe:
    registry, errors = load_plugins().registry, ErrorCollector()
    document = read_recipe(RECIPES / name)
    for path, value in changes.items():
        document = set_value(document, path.replace("__", "."), value, "a test", registry)
    read = structure_recipe(document, OptionsCodec(registry), errors)
    errors.raise_all()
    assert read is not None
    return read


@pytest.mark.parametrize("task", SETTINGS)
def test_bibert_trains_as_its_scripts_do(task: str, codec: Codec) -> None:
    epochs, tokens, rate, seed = SETTINGS[task]
    read = recipe("bibert.yaml", codec, task__name=task)
    student, encoder = read.stages["student"], read.encoder
    assert isinstance(student, DistillStage)
    train = student.train
    assert (train.epochs, train.learning_rate, train.batch_size) == (epochs, rate, 16)
    assert train.optimizer == "bertadam"
    assert isinstance(encoder, PretrainedEncoder)
    assert (read.seed, encoder.maximum_tokens) == (seed, tokens)
    assert student.scheme == BibertScheme()
    assert student.distillation == DirectionMatchingDistillation()


@pytest.mark.parametrize("task", SETTINGS)
def test_members_train_as_the_scripts_of_bebert_do(task: str, codec: Codec) -> None:
    epochs, tokens, _, _ = SETTINGS[task]
    read = recipe("bebert-bibert.yaml", codec, task__name=task)
    members = read.stages["members"]
    assert isinstance(members, MembersStage)
    assert (members.train.epochs, members.train.learning_rate, members.train.batch_size) == (epochs, 1e-4, 32)
    assert (members.size, members.ensemble.kind, members.scheme) == (8, "boosting", BebertBibertScheme())
    assert isinstance(read.encoder, PretrainedEncoder)
    assert read.encoder.maximum_tokens == tokens


@pytest.mark.parametrize("name", ["bibert.yaml", "bebert-bibert.yaml"])
def test_generated_data_and_random_weights_have_adapted_settings(name: str, codec: Codec) -> None:
    read = recipe(name, codec, task__kind="minigrammar", encoder__kind="tiny")
    rates = {
        stage.train.learning_rate for stage in read.stages.values() if isinstance(stage, DistillStage | MembersStage)
    }
    assert rates == {1e-3}
