"""BiBERT trained and stored, start to finish on a tiny task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import SELECT, Artifact, Codec, EnsembleOptions, Task, UserError
from bebertlab.data.examples import load_examples
from bebertlab.inference.predict import predict
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.options import TrainOptions
from bebertlab_bibert import BebertBibertScheme, BibertScheme, DirectionMatchingDistillation
from bebertlab_stages.members import MemberStage
from bebertlab_stages.training import DistillStage

Logits = Callable[[Artifact], Mapping[str, Tensor]]


def student(train: TrainOptions, **options: Any) -> DistillStage:  # noqa: ANN401 - options of many types
    chosen = {"scheme": BibertScheme(), "distillation": DirectionMatchingDistillation(), **options}
    return DistillStage(model="teacher", teacher="teacher", train=train, **chosen)


@pytest.mark.parametrize("scheme", [BibertScheme(), BibertScheme(as_published=True), BebertBibertScheme()])
def test_a_student_learns_and_is_read_back_from_its_folder(
    bench: StageRunner,
    task: Task,
    teacher: Artifact,
    train: TrainOptions,
    logits: Logits,
    scheme: Any,  # noqa: ANN401
) -> None:
    artifact = bench.run(student(train, scheme=scheme), task, model=teacher, teacher=teacher)
    stored = logits(artifact)[SELECT]
    model = load_model(artifact.folder, bench.codec)
    assert model.spec == scheme.spec()
    assert torch.equal(predict(model, load_examples(task, SELECT, teacher.folder, 32)), stored)
    assert stored.isfinite().all()
    assert not torch.equal(stored, logits(teacher)[SELECT])


def test_a_student_for_regression(bench: StageRunner, train: TrainOptions, logits: Logits) -> None:
    from bebertlab_stages.training import FinetuneStage

    task = tiny_task(regression=True)
    teacher = bench.run(FinetuneStage(train=train), task, name="regression_teacher")
    artifact = bench.run(student(train), task, model=teacher, teacher=teacher)
    assert logits(artifact)[SELECT].shape[1] == 1


def test_boosting_by_weights_needs_directions_of_single_examples(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, codec: Codec
) -> None:
    boosting = codec.load({"kind": "boosting", "sampling": "reweight"}, EnsembleOptions)  # type: ignore[type-abstract]
    member = MemberStage(
        model="teacher",
        teacher="teacher",
        ensemble=boosting,
        scheme=BibertScheme(),
        distillation=DirectionMatchingDistillation(),
        train=train,
    )
    with pytest.raises(UserError, match="loss 'direction' has one value for the whole batch"):
        bench.run(member, task, model=teacher, teacher=teacher)
    alone = evolve(member, distillation=DirectionMatchingDistillation(per_example=True))
    assert (
        load_model(bench.run(alone, task, model=teacher, teacher=teacher).folder, codec).spec == BibertScheme().spec()
    )
