from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from bebertlab.artifacts.external import check_classes, copy_model, inspect_model
from bebertlab.artifacts.model import input_length, model_digest
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.stage import Artifact, Codec
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task


def test_a_folder_is_described_without_its_weights(teacher: Artifact, codec: Codec, task: Task) -> None:
    model = inspect_model(teacher.folder, codec)
    assert model.digest == model_digest(teacher.folder)
    assert model.architecture == load_model(teacher.folder, codec).architecture
    assert model.spec == QuantSpec()
    assert (model.longest_input(task), model.longest_input(task, 9)) == (32, 9)
    planned = model.planned(9)
    assert (planned.maximum_tokens, planned.architecture) == (9, model.architecture)
    assert model.planned().maximum_tokens == model.architecture.positions
    assert planned.tokenizer.key == model.digest
    assert "vocabulary" in planned.tokenizer.parts()


def test_a_model_that_cannot_be_used_is_refused(teacher: Artifact, codec: Codec, task: Task, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nowhere: no such folder"):
        inspect_model(tmp_path / "nowhere", codec)
    model = inspect_model(teacher.folder, codec)
    with pytest.raises(UserError, match="has 32 positions, so set it to 32 or less"):
        model.longest_input(task, 33)
    with pytest.raises(UserError, match="has 2 outputs, task 'tiny' needs 1"):
        check_classes(model, tiny_task(regression=True))
    with pytest.raises(UserError, match="leave `classes` out"):
        check_classes(model, task, ("praise", "blame"))
    bare = shutil.copytree(teacher.folder, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(SetupError, match=r"has no tokenizer\.json"):
        check_classes(inspect_model(bare, codec), task)


def test_a_copy_has_the_tokenizer_with_the_requested_length(
    bench: StageRunner, task: Task, teacher: Artifact, codec: Codec
) -> None:
    context = bench.context(task)
    model = copy_model(teacher.folder, context, maximum_tokens=7)
    original = load_model(teacher.folder, codec).state_dict()
    assert all(torch.equal(tensor, original[name]) for name, tensor in model.state_dict().items())
    assert input_length(context.folder, context) == 7
    assert (context.folder / "tokenizer.json").read_bytes() == (teacher.folder / "tokenizer.json").read_bytes()
