from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bebertlab.interfaces.capabilities import ParameterGroup
from bebertlab.training import optimizers as module
from bebertlab.training.bert_adam import BertAdam
from bebertlab.training.optimizers import (
    SMALL,
    FlatParameters,
    Group,
    Optimizer,
    Tables,
    flatten,
    parameter_groups,
    small_positions,
)
from bebertlab.training.options import TrainOptions


class Network(nn.Module):
    """A linear map, a norm, another linear map and a head that only some losses depend on."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.second, self.head = (
            nn.Linear(7, 5),
            nn.LayerNorm(5),
            nn.Linear(5, 3),
            nn.Linear(3, 2),
        )

    def forward(self, x: Tensor, *, head: bool = True) -> Tensor:
        inner: Tensor = self.second(self.norm(self.first(x)))
        return torch.cat([inner, self.head(inner)], dim=1) if head else inner


def backward(model: Network, seed: int = 0, *, head: bool = True) -> None:
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(seed))
    torch.autograd.backward(10 * model(x, head=head).square().sum())


def train(model: Network, steps: int, norm: float | None) -> None:
    options = TrainOptions(learning_rate=0.01, weight_decay=0.1, gradient_norm=norm)
    optimizer = Optimizer(parameter_groups(model, (), options, options.learning_rate), options.gradient_norm)
    for step in range(steps):
        backward(model, step)
        optimizer.step(1 / (step + 1))
    optimizer.release()


def reference(model: Network, steps: int, norm: float | None) -> None:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 / (step + 1)
        optimizer.zero_grad()
        backward(model, step)
        if norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()


@pytest.mark.parametrize("small", [0, 20, 10_000])
@pytest.mark.parametrize("norm", [None, 0.5, 1e9])
def test_the_optimizer_is_adamw_with_a_clipped_norm(
    small: int, norm: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", small)
    ours, theirs = Network(), Network()
    train(ours, 5, norm)
    reference(theirs, 5, norm)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_parameter_without_gradient_is_unchanged() -> None:
    model = Network()
    optimizer = Optimizer(parameter_groups(model, (), TrainOptions(weight_decay=0.5), 0.1), 1.0)
    for _ in range(3):
        backward(model, head=False)
        optimizer.step(1.0)
    optimizer.release()
    assert all(torch.equal(a, b) for a, b in zip(model.head.parameters(), Network().head.parameters(), strict=True))
    assert not torch.equal(model.first.weight, Network().first.weight)


def test_a_parameter_with_a_late_first_gradient_moves_from_then_on() -> None:
    model = Network()
    optimizer = Optimizer(parameter_groups(model, (), TrainOptions(), 0.1), 1.0)
    for head in (False, True):
        before = model.head.weight.detach().clone()
        backward(model, head=head)
        optimizer.step(1.0)
        assert torch.equal(model.head.weight, before) is not head


def test_parameters_get_separate_memory_after_training() -> None:
    model = Network()
    train(model, 2, 1.0)
    addresses = {p.untyped_storage().data_ptr() for p in model.parameters()}
    assert len(addresses) == len(list(model.parameters()))
    assert all(p.grad is None for p in model.parameters())
    assert all(p.untyped_storage().nbytes() == 4 * p.numel() for p in model.parameters())


def test_steps_repeat_bit_for_bit() -> None:
    first, second = Network(), Network()
    train(first, 4, 1.0)
    train(second, 4, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_quantizers_declare_their_parameter_groups() -> None:
    model = Network()
    bias_group = ParameterGroup(parameters=(model.first.bias,))
    fast = ParameterGroup(parameters=(model.second.bias,), learning_rate=0.5, weight_decay=0.25)
    options = TrainOptions(quantizer_learning_rate=0.125, quantizer_weight_decay=0.0625, weight_decay=0.1)
    groups = parameter_groups(model, (bias_group, fast), options, 0.01)
    assert [(g.learning_rate, g.weight_decay, len(g.parameters)) for g in groups] == [
        (0.01, 0.1, 3),
        (0.01, 0.0, 3),
        (0.125, 0.0625, 1),
        (0.5, 0.25, 1),
    ]


def test_parameters_that_learn_like_biases_join_the_vectors_of_the_model() -> None:
    model = Network()
    shift = ParameterGroup(parameters=(model.first.bias,), no_decay_group=True)
    step = ParameterGroup(parameters=(model.second.bias,))
    groups = parameter_groups(model, (shift, step), TrainOptions(weight_decay=0.1), 0.01)
    (home,) = (group for group in groups if any(p is model.first.bias for p in group.parameters))
    assert (home.learning_rate, home.weight_decay) == (0.01, 0.0)
    assert any(p is model.norm.weight for p in home.parameters)
    assert not any(p is model.second.bias for p in home.parameters)


def test_groups_of_equal_rate_and_decay_are_merged() -> None:
    model = Network()
    groups = [ParameterGroup(parameters=(layer.bias,)) for layer in (model.first, model.second, model.head)]
    assert [len(g.parameters) for g in parameter_groups(model, groups, TrainOptions(), 0.01)] == [3, 2, 3]


def test_a_quantizer_may_have_its_parameters_learn_as_biases_do() -> None:
    model = Network()
    shift = ParameterGroup(parameters=(model.first.bias,), no_decay_group=True)
    options = TrainOptions(quantizer_learning_rate=0.125, quantizer_weight_decay=0.0625, weight_decay=0.1)
    groups = parameter_groups(model, (shift,), options, 0.01)
    assert [(g.learning_rate, g.weight_decay, len(g.parameters)) for g in groups] == [(0.01, 0.1, 3), (0.01, 0.0, 5)]
    assert any(parameter is model.first.bias for parameter in groups[1].parameters)


@pytest.mark.parametrize("kind", [Optimizer, BertAdam])
def test_every_parameter_moves_at_the_learning_rate_of_its_group(kind: type[Optimizer | BertAdam]) -> None:
    model = Network()
    steps = ParameterGroup(parameters=(model.first.bias,), learning_rate=0.5)
    optimizer = kind(parameter_groups(model, (steps,), TrainOptions(weight_decay=0.0), 0.001), None)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    backward(model)
    optimizer.step(1.0)
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in model.named_parameters()}
    full = 1.0 if kind is Optimizer else 0.1 / 0.001**0.5  # fraction of the rate used by the first step
    assert moved["first.bias"] == pytest.approx(0.5 * full, rel=1e-3)
    assert moved["first.weight"] == pytest.approx(0.001 * full, rel=1e-3)


@pytest.mark.parametrize("norm", [None, 0.5])
@pytest.mark.parametrize("kind", [Optimizer, BertAdam])
def test_sparse_gradients_move_a_table_like_dense_ones(kind: type[Optimizer | BertAdam], norm: float | None) -> None:
    tables = []
    for sparse in (False, True):
        table = nn.Parameter(torch.linspace(-1, 1, 40).view(10, 4))
        optimizer = kind([Group(parameters=(table,), learning_rate=0.1, weight_decay=0.1)], norm)
        for tokens in ([1, 3, 3], [2, 3], [9, 9, 9]):
            rows = nn.functional.embedding(torch.tensor(tokens), table, sparse=sparse)
            torch.autograd.backward(rows.square().sum())
            optimizer.step(1.0)
        optimizer.release()
        tables.append(table.detach())
    torch.testing.assert_close(*tables, rtol=1e-6, atol=1e-7)


def test_frozen_parameters_are_excluded() -> None:
    model = Network().requires_grad_(False)
    model.first.weight.requires_grad_(True)
    (group,) = parameter_groups(model, (), TrainOptions(), 0.01)
    assert group.parameters == (model.first.weight,)


def test_a_group_has_a_separate_learning_rate() -> None:
    fast, slow = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    rates = [(fast, 0.1), (slow, 0.01)]
    groups = [Group(parameters=(p,), learning_rate=rate, weight_decay=0.0) for p, rate in rates]
    optimizer = Optimizer(groups, None)
    torch.autograd.backward((fast + slow).sum())
    optimizer.step(0.5)
    assert [round(float(p.detach()[0]), 5) for p in (fast, slow)] == [-0.05, -0.005]


def parameters(*sizes: int) -> list[nn.Parameter]:
    created = [nn.Parameter(torch.arange(size, dtype=torch.float32)) for size in sizes]
    for parameter in created:
        parameter.grad = -parameter.detach()
    return created


def test_parameters_become_views_of_one_vector() -> None:
    first, second = parameters(3, 20)
    flat = FlatParameters([first, second])
    assert flat.lengths.tolist() == [16, 32]
    assert flat.vector[:3].tolist() == [0, 1, 2]
    assert flat.vector[3:16].count_nonzero() == 0
    elements = flat.elements_of(second)
    assert elements == slice(16, 36)
    assert torch.equal(flat.vector[elements], second)
    assert torch.equal(flat.gradient[elements], -second)
    assert flat.elements_of(nn.Parameter(second.detach())) is None
    with torch.no_grad():
        flat.vector.add_(1)
    assert first.tolist() == [1, 2, 3]


def test_released_parameters_have_separate_memory() -> None:
    (only,) = parameters(3)
    flat = FlatParameters([only])
    flat.release()
    assert only.grad is None
    with torch.no_grad():
        flat.vector.add_(1)
    assert only.tolist() == [0, 1, 2]


def test_large_parameters_and_those_without_a_gradient_stay_separate() -> None:
    small, large, untouched = parameters(5, SMALL, 5)
    untouched.grad = None
    group = [small, large, untouched]
    flat, separate = flatten(group, small_positions(group))
    assert [parameters.parameters for parameters in flat] == [[small]]
    assert all(kept is given for kept, given in zip(separate, [large, untouched], strict=True))
    assert small_positions([large]) == []
    assert flatten([large], []) == ([], [large])


def sparse(rows: list[int], values: list[float], shape: tuple[int, int]) -> torch.Tensor:
    given = torch.tensor(values)[:, None].expand(-1, shape[1])
    return torch.sparse_coo_tensor(torch.tensor([rows]), given, shape, check_invariants=True)


def test_a_sparse_gradient_becomes_dense_in_reused_memory() -> None:
    table, tables = nn.Parameter(torch.ones(5, 2)), Tables()
    table.grad = sparse([3, 1, 3], [1.0, 2.0, 4.0], (5, 2))
    values = tables.densify(table)
    assert values is not None
    assert values.tolist() == [[2, 2], [5, 5]]
    assert table.grad is not None
    assert table.grad[:, 0].tolist() == [0, 2, 0, 5, 0]
    memory = table.grad
    tables.clear(table)
    assert table.grad is None
    table.grad = sparse([0], [7.0], (5, 2))
    tables.densify(table)
    assert table.grad is memory
    assert memory[:, 0].tolist() == [7, 0, 0, 0, 0]


def test_a_dense_gradient_is_unchanged() -> None:
    (only,) = parameters(3)
    tables = Tables()
    assert tables.densify(only) is only.grad
    tables.clear(only)
    assert only.grad is None
    assert tables.densify(only) is None
