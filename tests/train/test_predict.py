from __future__ import annotations

import pytest
import torch

from bebertlab.interfaces.task import Task
from bebertlab.testing.tiny import tiny_model
from bebertlab.train import batches as module
from bebertlab.train.batches import Grouping, batches
from bebertlab.train.examples import Examples
from bebertlab.train.predict import evaluating, predict


def test_logits_are_in_dataset_order(task: Task, examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVALUATION_TOKENS", 100)
    monkeypatch.setattr(module, "EVALUATION_NUMBERS", 100)
    model = tiny_model(task)
    logits = predict(model, examples)
    assert logits.shape == (len(examples), 2)
    assert logits.std() > 0.01
    order = torch.arange(len(examples)).numpy()
    alone = Grouping(order=order, bounds=torch.arange(len(examples) + 1).numpy())
    with evaluating(model):
        for n, batch in enumerate(batches(examples, alone)):
            torch.testing.assert_close(model(batch).logits[0], logits[n])


def test_passes_repeat_and_leave_the_model_as_it_was(task: Task, examples: Examples) -> None:
    model = tiny_model(task).train()
    logits = predict(model, examples)
    assert model.training
    assert not logits.requires_grad
    assert torch.equal(predict(model, examples), logits)


def test_the_mode_is_put_back_after_an_error(task: Task) -> None:
    model = tiny_model(task).train()
    with evaluating(model):
        assert not model.training
        assert not torch.is_grad_enabled()
    with pytest.raises(AttributeError), evaluating(model):
        model("no batch")
    assert model.training
