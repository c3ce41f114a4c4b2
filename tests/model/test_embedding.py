from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F

from bebertlab.model.embedding import PADDING, Embedding, EmbeddingBranch, QuantizedEmbedding
from bebertlab.model.primitives import Granularity
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.twn import Twn
from bebertlab_binarybert.uniform import Uniform

if TYPE_CHECKING:
    from tests.model.conftest import Rounding
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.task import Task
from bebertlab.model import embedding as module
from bebertlab.model.bert import BertClassifier
from bebertlab.model.embedding import sparse_gradients
from bebertlab.testing.tiny import tiny_model
from bebertlab_binarybert.schemes import BinaryBert

TOKENS = torch.tensor([[5, 3, 5], [1, 0, 0]])


def filled(embedding: QuantizedEmbedding) -> QuantizedEmbedding:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for branch in branches_of(embedding):
            branch.weight.normal_(generator=generator)
    return embedding


def branches_of(embedding: QuantizedEmbedding) -> list[Any]:
    return [*embedding.branches]


def test_a_new_embedding_is_zero_and_draws_no_random_numbers() -> None:
    before = torch.random.get_rng_state()
    assert torch.equal(Embedding(7, 2)(TOKENS), torch.zeros(2, 3, 2))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("rows", [True, False])
def test_rows_are_those_of_the_quantized_table(rounding: type[Rounding], rows: bool) -> None:
    embedding = filled(QuantizedEmbedding(9, 4, 2, rounding(rows=rows)))
    tables = [branch.weight_quantizer(branch.weight) for branch in branches_of(embedding)]
    assert not torch.equal(tables[0], branches_of(embedding)[0].weight)
    torch.testing.assert_close(embedding(TOKENS), sum(table[TOKENS] for table in tables), rtol=0, atol=0)


def test_only_the_rows_of_the_batch_are_quantized_where_rows_are_independent(rounding: type[Rounding]) -> None:
    for rows, shape in ((True, (6, 4)), (False, (9, 4))):
        embedding = filled(QuantizedEmbedding(9, 4, 1, rounding(rows=rows)))
        embedding(TOKENS)
        assert branches_of(embedding)[0].weight_quantizer.calls == [shape]


@pytest.mark.parametrize("rows", [True, False])
def test_the_gradient_sums_over_repeated_tokens_and_skips_padding(rounding: type[Rounding], rows: bool) -> None:
    embedding = filled(QuantizedEmbedding(9, 4, 2, rounding(rows=rows)))
    embedding(TOKENS).sum().backward()
    for branch in branches_of(embedding):
        per_row = branch.weight.grad[:, 0]
        assert per_row.tolist() == [0, 1, 0, 1, 0, 2, 0, 0, 0]
        assert PADDING == 0


def test_a_branch_without_quantizer_is_a_plain_table() -> None:
    branch = EmbeddingBranch(9, 4, None)
    with torch.no_grad():
        branch.weight.normal_()
    assert torch.equal(branch(TOKENS), branch.weight[TOKENS])


@pytest.mark.parametrize("granularity", ["row", "tensor"])
@pytest.mark.parametrize("kind", [Bwn, Twn])
def test_gathering_before_quantizing_changes_no_value(kind: type[Bwn] | type[Twn], granularity: Granularity) -> None:
    embedding = filled(QuantizedEmbedding(9, 4, 1, kind(granularity=granularity)))
    (branch,) = branches_of(embedding)
    assert torch.equal(embedding(TOKENS), branch.weight_quantizer(branch.weight)[TOKENS])


def test_the_padding_token_adds_nothing_to_the_gradient_of_a_learned_clip() -> None:
    options = Uniform(bits=4, granularity="row", clip=0.5)
    branch = branches_of(filled(QuantizedEmbedding(9, 4, 1, options)))[0]
    upstream = torch.linspace(0.5, 1.5, TOKENS.numel() * 4).view(*TOKENS.shape, 4)
    actual = []
    for whole in (False, True):
        branch.zero_grad()
        rows = F.embedding(TOKENS, branch.weight_quantizer(branch.weight), PADDING) if whole else branch(TOKENS)
        rows.backward(upstream)
        actual.append((branch.weight_quantizer.clip.grad.clone(), branch.weight.grad.clone()))
    for ours, published in zip(*actual, strict=True):
        torch.testing.assert_close(ours, published)


PREFIX = "bert.embeddings.word_embeddings."


def model_of(task: Task, branches: int) -> BertClassifier:
    if not branches:
        return tiny_model(task).eval()
    spec = BinaryBert().spec()
    return tiny_model(task, spec.with_branches({PREFIX[:-1]: branches})).eval()


def batch_of() -> Batch:
    tokens = torch.tensor([[2, 7, 7, 3], [2, 9, 3, 0]])  # a repeated token, and padding
    return Batch(
        positions=torch.arange(2),
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        mask=tokens > 0,
        labels=torch.tensor([0, 1]),
    )


@pytest.mark.parametrize("branches", [0, 1, 2])
def test_gradients_are_bitwise_equal_and_contain_the_rows_of_the_batch(
    branches: int, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", 100)
    dense, sparse = model_of(task, branches), model_of(task, branches)
    torch.autograd.backward(dense(batch_of()).logits.square().sum())
    with sparse_gradients(sparse):
        for _ in range(2):  # the second pass adds to the first
            torch.autograd.backward(sparse(batch_of()).logits.square().sum() / 2)
    actual = dict(dense.named_parameters())
    tables = [name for name in actual if name.startswith(PREFIX) and name.endswith("weight")]
    assert len(tables) == max(branches, 1)
    for name, parameter in sparse.named_parameters():
        gradient, expected = parameter.grad, actual[name].grad
        assert gradient is not None
        assert gradient.is_sparse is (name in tables)
        if name in tables:
            assert gradient.coalesce().indices()[0].tolist() == [2, 3, 7, 9]
        torch.testing.assert_close(gradient.to_dense() if gradient.is_sparse else gradient, expected)


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
    spec = BinaryBert().spec()
    (site,) = [site for site in spec.weights if "embedding" in site]
    whole = QuantSpec(weights={site: spec.weights[next(other for other in spec.weights if other != site)]})
    model = tiny_model(task, whole).eval()
    with sparse_gradients(model):
        torch.autograd.backward(model(batch_of()).logits.sum())
    gradient = model.get_parameter(f"{PREFIX}branches.0.weight").grad
    assert gradient is not None
    assert not gradient.is_sparse
