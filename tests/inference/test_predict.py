from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import torch

from bebertlab.data import batches as module
from bebertlab.data.batches import BatchPlan, batches
from bebertlab.data.examples import Examples
from bebertlab.inference.predict import keep_freed_memory, predict
from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.task import Task
from bebertlab.testing.tiny import tiny_model


def test_logits_are_in_dataset_order(task: Task, examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVALUATION_TOKENS", 100)
    monkeypatch.setattr(module, "EVALUATION_ACTIVATIONS", 100)
    model = tiny_model(task)
    logits = predict(model, examples)
    assert logits.shape == (len(examples), 2)
    assert logits.std() > 0.01
    order = torch.arange(len(examples)).numpy()
    alone = BatchPlan(order=order, bounds=torch.arange(len(examples) + 1).numpy())
    prepared = prepare(model)
    for n, batch in enumerate(batches(examples, alone)):
        torch.testing.assert_close(prepared(batch).logits[0], logits[n])
    assert torch.equal(predict(prepared, examples), logits)


def test_repeated_passes_are_equal_and_leave_the_model_unchanged(task: Task, examples: Examples) -> None:
    model = tiny_model(task).train()
    logits = predict(model, examples)
    assert model.training
    assert not logits.requires_grad
    assert torch.equal(predict(model, examples), logits)


COUNT_PAGE_FAULTS = """
import resource, torch
from bebertlab.inference.predict import keep_freed_memory
keep_freed_memory()
def step():
    x = torch.ones(5 * 2**20)
    y = x + 1
    return (y * 2).sum()
for _ in range(8):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux" or not keep_freed_memory(), reason="the C library is not glibc")
def test_reused_memory_causes_no_page_faults() -> None:
    run = subprocess.run([sys.executable, "-c", COUNT_PAGE_FAULTS], check=True, capture_output=True)
    assert int(run.stdout) < 15_000  # pages of 4 KiB: ten steps have 20 tensors of 5120 pages


def test_other_c_libraries_are_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: object) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", none)
    keep_freed_memory.cache_clear()
    assert keep_freed_memory() is False
    keep_freed_memory.cache_clear()
