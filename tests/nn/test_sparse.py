from __future__ import annotations

import pytest
import torch

from bebertlab.interfaces.architecture import Design
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.task import Task
from bebertlab.nn import sparse as module
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.sparse import sparse_gradients
from bebertlab.testing.tiny import tiny_model
from bebertlab_binarybert.schemes import BinaryBert

WORDS = "bert.embeddings.word_embeddings."


def model_of(task: Task, branches: int) -> BertClassifier:
    if not branches:
        return tiny_model(task).eval()
    design = BinaryBert().design()
    return tiny_model(task, design.with_branches({WORDS[:-1]: branches})).eval()


def batch_of() -> Batch:
    tokens = torch.tensor([[2, 7, 7, 3], [2, 9, 3, 0]])  # the same word twice, and padding
    return Batch(
        positions=torch.arange(2),
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        mask=tokens > 0,
        labels=torch.tensor([0, 1]),
    )


@pytest.mark.parametrize("branches", [0, 1, 2])
def test_gradients_are_the_same_to_the_bit_and_hold_the_rows_of_the_batch(
    branches: int, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", 100)
    dense, sparse = model_of(task, branches), model_of(task, branches)
    torch.autograd.backward(dense(batch_of()).logits.square().sum())
    with sparse_gradients(sparse):
        for _ in range(2):  # the second pass adds to the first
            torch.autograd.backward(sparse(batch_of()).logits.square().sum() / 2)
    found = dict(dense.named_parameters())
    tables = [name for name in found if name.startswith(WORDS) and name.endswith("weight")]
    assert len(tables) == max(branches, 1)
    for name, parameter in sparse.named_parameters():
        gradient, wanted = parameter.grad, found[name].grad
        assert gradient is not None
        assert gradient.is_sparse is (name in tables)
        if name in tables:
            assert gradient.coalesce().indices()[0].tolist() == [2, 3, 7, 9]
        torch.testing.assert_close(gradient.to_dense() if gradient.is_sparse else gradient, wanted)


def test_afterwards_and_in_small_tables_they_are_dense(task: Task) -> None:
    model = model_of(task, 0)
    with sparse_gradients(model):
        torch.autograd.backward(model(batch_of()).logits.sum())
    assert not any(parameter.grad is not None and parameter.grad.is_sparse for parameter in model.parameters())
    with pytest.raises(ZeroDivisionError), sparse_gradients(model):
        raise ZeroDivisionError
    assert not any(getattr(part, "sparse", False) for part in model.modules())


def test_a_table_that_is_quantized_as_a_whole_has_a_dense_gradient(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 1)
    design = BinaryBert().design()
    (site,) = [site for site in design.weights if "embedding" in site]
    whole = Design(weights={site: design.weights[next(other for other in design.weights if other != site)]})
    model = tiny_model(task, whole).eval()
    with sparse_gradients(model):
        torch.autograd.backward(model(batch_of()).logits.sum())
    gradient = model.get_parameter(f"{WORDS}branches.0.weight").grad
    assert gradient is not None
    assert not gradient.is_sparse
