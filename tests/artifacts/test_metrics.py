from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from bebertlab.artifacts.metrics import (
    combined_metrics,
    read_metrics,
    read_size,
    size_metrics,
    write_metrics,
)
from bebertlab.artifacts.model import evaluate_and_save
from bebertlab.data.tokenizer import set_maximum_tokens
from bebertlab.interfaces.metric_names import GIGAFLOPS, SIZE_MATRIX, SIZE_STORED, SIZE_TOTAL
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_model, tiny_tokenizer
from bebertlab.training.result import Training
from bebertlab_encoders.tiny import TinyEncoder


def test_metrics_are_plain_numbers(tmp_path: Path) -> None:
    write_metrics({"a": np.float32(0.5), "b": 3}, tmp_path)  # type: ignore[dict-item] # what numpy gives
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"a": 0.5, "b": 3.0}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_metrics({"select/score": 1 / 3}, tmp_path)
    assert read_metrics(tmp_path) == {"select/score": 1 / 3}


@pytest.fixture
def with_metrics(bench: StageRunner, task: Task) -> Callable[..., Artifact]:
    """Creates an artifact with some metrics and without a model."""

    def make(key: str, **notified: float) -> Artifact:
        folder = bench.context(task).folder
        metrics = {f"size/{name}_mebibytes": value for name, value in notified.items()}
        (folder / "metrics.json").write_text(json.dumps({**metrics, "select/score": 3.0}))
        return Artifact(stage="merge", key=key, folder=folder, seconds=0.0)

    return make


def test_size_metrics_of_a_model_match_manual_calculation(bench: StageRunner, teacher: Artifact) -> None:
    model = load_model(teacher.folder, bench.codec)
    actual = size_metrics(model, teacher.folder)
    elements = sum(parameter.numel() for parameter in model.parameters())
    assert actual[SIZE_TOTAL] == pytest.approx(elements * 4 / 2**20)
    assert 0 < actual[SIZE_MATRIX] < actual[SIZE_TOTAL]
    # full precision is stored as it is counted, under a header of names and shapes
    assert actual[SIZE_TOTAL] < actual[SIZE_STORED] == (teacher.folder / "model.safetensors").stat().st_size / 2**20
    # two layers of hidden 16, feed-forward 32 and 32 positions, all of which are counted
    assert actual[GIGAFLOPS] == pytest.approx(2 * (2 * 32 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 2 * 32**2 * 16) / 1e9)


@pytest.mark.parametrize("notified", [{}, {SIZE_MATRIX: 1.0, SIZE_TOTAL: 2.0}])
def test_the_size_of_a_model_is_counted_where_its_stage_did_not(
    bench: StageRunner, task: Task, teacher: Artifact, tmp_path: Path, notified: dict[str, float]
) -> None:
    folder = shutil.copytree(teacher.folder, tmp_path / "silent")
    (folder / "metrics.json").write_text(json.dumps(notified))
    actual = read_size(evolve(teacher, folder=folder), bench.context(task))
    assert actual == size_metrics(load_model(teacher.folder, bench.codec), teacher.folder)
    assert actual == read_size(teacher, bench.context(task))


def test_an_artifact_without_a_model_has_the_sizes_of_its_metrics(
    bench: StageRunner, task: Task, with_metrics: Callable[..., Artifact]
) -> None:
    assert read_size(with_metrics("k", matrix=1.0, total=2.0), bench.context(task)) == {
        SIZE_MATRIX: 1.0,
        SIZE_TOTAL: 2.0,
    }


def test_complete_sizes_of_an_artifact_are_not_counted_again(
    bench: StageRunner, task: Task, teacher: Artifact, tmp_path: Path
) -> None:
    folder = shutil.copytree(teacher.folder, tmp_path / "telling")
    notified = {SIZE_MATRIX: 1.0, SIZE_TOTAL: 2.0, SIZE_STORED: 3.0, GIGAFLOPS: 4.0}
    (folder / "metrics.json").write_text(json.dumps({**notified, "select/score": 3.0}))
    assert read_size(evolve(teacher, folder=folder), bench.context(task)) == notified


def test_sums_count_an_artifact_once_and_only_sizes_that_all_have(
    bench: StageRunner, task: Task, with_metrics: Callable[..., Artifact]
) -> None:
    first, second = with_metrics("a", total=2.0, stored=5.0), with_metrics("b", total=3.0)
    context = bench.context(task)
    assert combined_metrics((first, second, first), context) == {SIZE_TOTAL: 5.0}
    assert combined_metrics((first, first), context) == {SIZE_TOTAL: 2.0, SIZE_STORED: 5.0}


def test_truncated_texts_are_counted_and_warned_about(bench: StageRunner, task: Task) -> None:
    warned: list[str] = []
    context = evolve(bench.context(task), encoder=TinyEncoder(maximum_tokens=8), warn=warned.append)
    evaluate_and_save(
        tiny_model(task), tiny_tokenizer(context.folder), context, training=Training(steps=1, seconds=1.0)
    )
    metrics = json.loads((context.folder / "metrics.json").read_text())
    for name in ("train", "select", "validation"):
        texts = task.splits[name].texts
        long = sum(len(text.split()) > 6 for text in texts)
        assert metrics[f"truncated/{name}"] == long > 0
        assert metrics[f"truncated/{name}_percent"] == 100 * long / len(texts)
        message = f"{name}: {long} of {len(texts)} texts have more than 8 tokens (maximum_tokens of the encoder or the"
        assert f"{message} loaded model) and are truncated" in warned


def test_the_length_of_a_loaded_model_counts(bench: StageRunner, task: Task) -> None:
    context = bench.context(task)  # its encoder reads up to 32 tokens
    set_maximum_tokens(tiny_tokenizer(context.folder), 8)
    evaluate_and_save(tiny_model(task), context.folder, context)
    metrics = json.loads((context.folder / "metrics.json").read_text())
    assert metrics["truncated/validation"] == sum(len(text.split()) > 6 for text in task.splits["validation"].texts)


def test_few_truncated_texts_are_not_warned_about(bench: StageRunner, task: Task) -> None:
    warned: list[str] = []
    context = evolve(bench.context(task), warn=warned.append)
    evaluate_and_save(tiny_model(task), tiny_tokenizer(context.folder), context)
    metrics = json.loads((context.folder / "metrics.json").read_text())
    assert metrics["truncated/validation"] == metrics["truncated/validation_percent"] == 0
    assert "truncated/train" not in metrics  # it was not read
    assert warned == []


def test_of_several_models_the_highest_counts_of_truncated_texts_are_taken(bench: StageRunner, task: Task) -> None:
    models = [{"truncated/select": 2.0, "validation/score": 1.0}, {"truncated/select": 3.0}, {"truncated/train": 1.0}]
    artifacts = []
    for index, metrics in enumerate(models):
        folder = bench.context(task).folder
        write_metrics(metrics, folder)
        artifacts.append(Artifact(stage="m", key=str(index), folder=folder, seconds=0.0))
    assert combined_metrics(artifacts, bench.context(task)) == {"truncated/select": 3.0, "truncated/train": 1.0}
