from __future__ import annotations

import torch
from torch import nn

from bebertlab.train.bundle import SMALL, Bundle, Tables, bundle


def parameters(*sizes: int) -> list[nn.Parameter]:
    found = [nn.Parameter(torch.arange(size, dtype=torch.float32)) for size in sizes]
    for parameter in found:
        parameter.grad = -parameter.detach()
    return found


def test_parameters_become_views_of_one_vector() -> None:
    first, second = parameters(3, 20)
    laid = Bundle([first, second])
    assert laid.lengths.tolist() == [16, 32]
    assert laid.vector[:3].tolist() == [0, 1, 2]
    assert laid.vector[3:16].count_nonzero() == 0
    place = laid.place(second)
    assert place == slice(16, 36)
    assert torch.equal(laid.vector[place], second)
    assert torch.equal(laid.gradient[place], -second)
    assert laid.place(nn.Parameter(second.detach())) is None
    with torch.no_grad():
        laid.vector.add_(1)
    assert first.tolist() == [1, 2, 3]


def test_afterwards_they_have_memory_of_their_own() -> None:
    (only,) = parameters(3)
    laid = Bundle([only])
    laid.release()
    assert only.grad is None
    with torch.no_grad():
        laid.vector.add_(1)
    assert only.tolist() == [0, 1, 2]


def test_large_ones_and_those_without_a_gradient_stay_alone() -> None:
    small, large, untouched = parameters(5, SMALL, 5)
    untouched.grad = None
    bundles, alone = bundle([small, large, untouched])
    assert [one.parameters for one in bundles] == [[small]]
    assert all(one is other for one, other in zip(alone, [large, untouched], strict=True))
    assert bundle([large]) == ([], [large])


def sparse(rows: list[int], values: list[float], shape: tuple[int, int]) -> torch.Tensor:
    given = torch.tensor(values)[:, None].expand(-1, shape[1])
    return torch.sparse_coo_tensor(torch.tensor([rows]), given, shape, check_invariants=True)


def test_a_sparse_gradient_becomes_dense_in_memory_that_stays() -> None:
    table, tables = nn.Parameter(torch.ones(5, 2)), Tables()
    table.grad = sparse([3, 1, 3], [1.0, 2.0, 4.0], (5, 2))
    values = tables.lay(table)
    assert values is not None
    assert values.tolist() == [[2, 2], [5, 5]]
    assert table.grad is not None
    assert table.grad[:, 0].tolist() == [0, 2, 0, 5, 0]
    memory = table.grad
    tables.clear(table)
    assert table.grad is None
    table.grad = sparse([0], [7.0], (5, 2))
    tables.lay(table)
    assert table.grad is memory
    assert memory[:, 0].tolist() == [7, 0, 0, 0, 0]


def test_a_dense_gradient_stays_as_it_is() -> None:
    (only,) = parameters(3)
    tables = Tables()
    assert tables.lay(only) is only.grad
    tables.clear(only)
    assert only.grad is None
    assert tables.lay(only) is None
