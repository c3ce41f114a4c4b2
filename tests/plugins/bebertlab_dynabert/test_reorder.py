from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve
from safetensors.torch import load_file
from torch import Tensor

from bebertlab.api import (
    Artifact,
    Batch,
    BertClassifier,
    Checkpoint,
    Codec,
    PlannedModel,
    Planning,
    Task,
    UserError,
    batches,
    group_in_order,
    load_examples,
)
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab_dynabert import Importance, NeuronOrder, ReorderStage, descending, measure_importance, reorder, reordered

Metrics = Callable[[Artifact], Mapping[str, float]]
Logits = Callable[[Artifact], Mapping[str, Tensor]]


def test_the_most_important_units_come_first_and_the_function_is_preserved(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics, logits: Logits
) -> None:
    result = bench.run(ReorderStage(model="teacher"), task, model=teacher)
    values = importance(result)
    order = json.loads((result.folder / "order.json").read_text())
    actual = descending(Importance(heads=values["heads"], neurons=values["neurons"]))
    assert (actual.heads.tolist(), actual.neurons.tolist()) == (order["heads"], order["neurons"])
    assert values["neurons"].shape == (2, 32)
    before, after = (load_model(artifact.folder, bench.codec).checkpoint() for artifact in (teacher, result))
    for name, tensor in reordered(before, actual).tensors.items():
        assert torch.equal(after.tensors[name], tensor)
    assert any(not torch.equal(after.tensors[name], tensor) for name, tensor in before.tensors.items())
    for split, rows in logits(result).items():
        torch.testing.assert_close(rows, logits(teacher)[split], atol=1e-5, rtol=1e-5)
    assert metrics(result)["reorder/logit_difference"] < 1e-12
    assert (result.folder / "tokenizer.json").is_file()


def importance(artifact: Artifact) -> Mapping[str, Tensor]:
    values: Mapping[str, Tensor] = load_file(artifact.folder / "importance.safetensors")
    return values


def test_a_limit_takes_examples_spread_over_the_split(
    bench: StageRunner, task: Task, teacher: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []

    def recorded(model: BertClassifier, given: Iterable[Batch], *, as_published: bool) -> Importance:
        kept = list(given)
        seen.append(torch.cat([batch.positions for batch in kept]).tolist())
        assert max(len(batch.positions) for batch in kept) == 4
        return measure_importance(model, kept, as_published=as_published)

    monkeypatch.setattr(reorder, "measure_importance", recorded)
    for examples in (10, 96, 1000, None):
        bench.run(ReorderStage(model="teacher", examples=examples, batch_size=4), task, model=teacher)
    assert seen[0] == [0, 9, 19, 28, 38, 48, 57, 67, 76, 86]
    assert seen[1] == seen[2] == seen[3] == list(range(96))


def test_as_published_it_sums_gradients_of_the_validation_split(
    bench: StageRunner, task: Task, teacher: Artifact
) -> None:
    published = bench.run(ReorderStage(model="teacher", as_published=True), task, model=teacher)
    model = load_model(teacher.folder, bench.codec)
    examples = load_examples(task, "validation", teacher.folder, 32)
    order = group_in_order(np.arange(len(examples)), 8)
    expected = measure_importance(model, batches(examples, order), as_published=True)
    torch.testing.assert_close(importance(published)["heads"], expected.heads)
    other = bench.run(ReorderStage(model="teacher", split="validation"), task, model=teacher)
    assert not torch.allclose(importance(other)["heads"], expected.heads, rtol=1e-2)


def test_a_missing_split_is_named(codec: Codec, task: Task) -> None:
    with pytest.raises(UserError, match="unknown split 'dev'"):
        ReorderStage(model="teacher", split="dev").prepare({}, task, codec)
    stage = ReorderStage(model="teacher")
    assert stage.prepare({}, task, codec) == stage


def test_an_order_that_changes_the_function_is_refused(
    bench: StageRunner, task: Task, teacher: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(checkpoint: Checkpoint, order: NeuronOrder) -> Checkpoint:
        name = "bert.encoder.layer.1.intermediate.dense.bias"
        return evolve(checkpoint, tensors={**checkpoint.tensors, name: checkpoint.tensors[name].flip(0)})

    monkeypatch.setattr(reorder, "reordered", wrong)
    with pytest.raises(UserError, match="order: reordering changed the logits by"):
        bench.run(ReorderStage(model="teacher"), task, name="order", model=teacher)


def test_the_planned_model_is_unchanged(planned_teacher: PlannedModel, planning: Planning) -> None:
    assert ReorderStage(model="teacher").plan_model({"model": (planned_teacher,)}, planning) is planned_teacher


def test_importance_is_measured_on_inputs_of_the_input_length_of_the_model(
    bench: StageRunner, task: Task, teacher: Artifact, tmp_path: Path
) -> None:
    short = shutil.copytree(teacher.folder, tmp_path / "short")
    (short / "tokenizer_config.json").write_text('{"model_max_length": 4}')
    actual = [
        importance(bench.run(ReorderStage(model="m"), task, model=artifact))
        for artifact in (teacher, evolve(teacher, folder=short))
    ]
    assert not torch.equal(actual[0]["heads"], actual[1]["heads"])
