from __future__ import annotations

import numpy as np
import pytest
import torch

from bebertlab.data.batches import batches, group_in_order
from bebertlab.data.examples import Examples
from bebertlab.inference.predict import predict
from bebertlab.interfaces.batch import Tap
from bebertlab.interfaces.task import Task
from bebertlab.testing.tiny import tiny_model
from bebertlab.training import teacher as module
from bebertlab.training.seed import seeded
from bebertlab.training.teacher import Teacher


def test_the_logits_of_a_split_are_those_of_a_pass(task: Task, examples: Examples) -> None:
    teacher = Teacher(tiny_model(task).train())
    assert torch.equal(teacher.logits(examples), predict(tiny_model(task), examples))
    assert teacher.seconds > 0


def test_teachers_of_one_artifact_share_their_logits(
    task: Task, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Teacher(tiny_model(task), key="a key").logits(examples)
    monkeypatch.setattr(module, "predict", lambda *_, **__: pytest.fail("computed again"))
    again = Teacher(tiny_model(task), key="a key")
    assert again.logits(examples) is first
    assert again.seconds == 0.0


def test_the_logits_of_a_subset_are_at_its_positions(task: Task, examples: Examples) -> None:
    chosen = np.array([3, 50, 95])
    logits = Teacher(tiny_model(task), key="t").logits(examples, subset=chosen)
    torch.testing.assert_close(logits[chosen], predict(tiny_model(task), examples)[chosen])
    assert logits.isnan().any(dim=1).sum() == 93
    assert Teacher(tiny_model(task), key="t").logits(examples).isfinite().all()  # kept apart


def test_teachers_of_other_artifacts_do_not(task: Task, examples: Examples) -> None:
    logits = [
        Teacher(tiny_model(task, seed=i), key=key).logits(examples) for i, key in enumerate([None, None, "1", "2"])
    ]
    assert len({float(tensor.sum()) for tensor in logits}) == 4


def test_an_answer_has_the_taps_and_no_gradient(task: Task, examples: Examples) -> None:
    teacher = Teacher(tiny_model(task).train())
    batch = next(batches(examples, group_in_order(np.arange(4), 4)))
    with teacher.at_work():
        outputs = teacher.answer(batch, frozenset({Tap.HIDDEN}))
    assert outputs.taps.keys() == {Tap.HIDDEN}
    assert not outputs.logits.requires_grad
    torch.testing.assert_close(outputs.logits, teacher.logits(examples)[batch.positions])


def test_with_dropout_an_answer_is_drawn_again_and_repeats_with_its_seed(task: Task, examples: Examples) -> None:
    model = tiny_model(task)
    teacher = Teacher(model)
    batch = next(batches(examples, group_in_order(np.arange(4), 4)))
    still = teacher.answer(batch, frozenset()).logits
    with seeded(1), teacher.at_work():
        drawn = [teacher.answer(batch, frozenset(), dropout=True) for _ in range(2)]
    with seeded(1):
        again = teacher.answer(batch, frozenset(), dropout=True)
    assert torch.equal(drawn[0].logits, again.logits)
    assert not torch.equal(drawn[0].logits, drawn[1].logits)
    assert not again.logits.requires_grad
    assert torch.equal(teacher.answer(batch, frozenset()).logits, still)
