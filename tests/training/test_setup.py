from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab.training.setup import TeacherView, TrainingSetup, check_shared_tokens
from bebertlab.training.teacher import Teacher

SetUpTraining = Callable[..., TrainingSetup]


def test_the_order_of_examples_depends_on_the_seed(set_up_training: SetUpTraining) -> None:
    orders = [set_up_training(seed=seed).sampler.epoch("p", 0, 8).order.tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    set_up_training().progress(0.5, "without a reporter")


def teacher_of(task: Task, **sizes: Any) -> Teacher:  # noqa: ANN401 - sizes of an architecture
    changed = evolve(tiny_model(task).architecture, **sizes)
    return Teacher(BertClassifier.from_checkpoint(random_checkpoint(changed, seed=0)))


def test_a_teacher_with_other_tokens_cannot_read_the_batches_of_the_student(set_up_training: SetUpTraining) -> None:
    setup = set_up_training(teacher=teacher_of(tiny_task()))
    check_shared_tokens(setup, "phase 'p'")
    other = TeacherView(train=setup.train, select=setup.select, different=("vocabulary", "normalizer"))
    with pytest.raises(UserError, match=r"student: phase 'p' runs the teacher .* in its vocabulary, normalizer; take"):
        check_shared_tokens(evolve(setup, teacher_view=other), "phase 'p'")
    check_shared_tokens(set_up_training(), "phase 'p'")


def test_a_teacher_needs_positions_for_the_longest_text_of_the_student(set_up_training: SetUpTraining) -> None:
    task = tiny_task()
    check_shared_tokens(set_up_training(teacher=teacher_of(task, positions=12)), "phase 'p'")
    with pytest.raises(
        UserError, match="texts of up to 12 tokens, and it has 11 positions; let the student start from"
    ):
        check_shared_tokens(set_up_training(teacher=teacher_of(task, positions=11)), "phase 'p'")


def test_a_teacher_needs_embeddings_for_the_segments_of_the_student(set_up_training: SetUpTraining) -> None:
    teacher = teacher_of(tiny_task(), segments=1)
    check_shared_tokens(set_up_training(teacher=teacher), "phase 'p'")
    with pytest.raises(UserError, match="texts of 2 segments, and it has embeddings for 1"):
        check_shared_tokens(set_up_training(teacher=teacher, task=tiny_task(pairs=True)), "phase 'p'")
