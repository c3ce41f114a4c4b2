from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bebertlab.model.dropout import dropout, dropout_add
from bebertlab.training.seed import seeded


def dropped(x: Tensor, probability: float, seed: int = 0) -> Tensor:
    with seeded(seed):
        return dropout(x, probability, True)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_the_kept_share_is_as_configured_and_the_mean_is_preserved(probability: float) -> None:
    y = dropped(torch.ones(1001, 101), probability)
    values = sorted(set(y.flatten().tolist()))
    assert values == pytest.approx([0.0, 1 / (1 - probability)], rel=1e-3)
    assert float((y != 0).float().mean()) == pytest.approx(1 - probability, abs=0.01)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.03)


def test_decisions_are_independent() -> None:
    stays = (dropped(torch.ones(4 * 50_000), 0.5) != 0).float().view(-1, 4)
    pairs = torch.corrcoef(torch.cat([stays, stays.roll(1, 0)], dim=1).T)
    assert float((pairs - torch.eye(8)).abs().max()) < 0.02


def test_a_seed_repeats_a_draw_and_the_next_draw_differs() -> None:
    x = torch.ones(7, 3)
    assert torch.equal(dropped(x, 0.5), dropped(x, 0.5))
    assert not torch.equal(dropped(x, 0.5), dropped(x, 0.5, seed=1))
    with seeded(0):
        first, second = dropout(x, 0.5, True), dropout(x, 0.5, True)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("add", [False, True])
def test_the_gradient_passes_where_values_were_kept(add: bool) -> None:
    x, update = torch.zeros(8, 9), torch.ones(8, 9, requires_grad=True)
    with seeded(0):
        y = dropout_add(x, update, 0.25, True) if add else dropout(update, 0.25, True)
    torch.autograd.backward(y, torch.full_like(y, 2.0))
    assert update.grad is not None
    assert torch.equal(update.grad, 2 * y.detach())
    assert bool((y == 0).any())


def test_dropout_add_equals_adding_the_dropped_tensor() -> None:
    x, update = torch.randn(5, 6, generator=torch.Generator().manual_seed(0)), torch.ones(5, 6)
    with seeded(3):
        both = dropout_add(x, update, 0.5, True)
    torch.testing.assert_close(both, x + dropped(update, 0.5, seed=3))


@pytest.mark.parametrize("call", [dropout, lambda x, *remaining: dropout_add(torch.zeros_like(x), x, *remaining)])
def test_without_dropout_no_random_numbers_are_drawn(call: Callable[[Tensor, float, bool], Tensor]) -> None:
    x, state = torch.ones(3), torch.get_rng_state()
    assert torch.equal(call(x, 0.0, True), x)
    assert torch.equal(call(x, 0.5, False), x)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_dtype_is_preserved(dtype: torch.dtype) -> None:
    assert dropped(torch.ones(5, dtype=dtype), 0.5).dtype == dtype


def test_a_bfloat16_update_is_scaled_in_the_precision_of_the_residual() -> None:
    x, update = torch.zeros(40, 9), torch.ones(40, 9, dtype=torch.bfloat16, requires_grad=True)
    with seeded(0):
        y = dropout_add(x, update, 0.1, True)
    scale = torch.tensor(2**16 / round(0.9 * 2**16))  # 1.1111, in bfloat16 1.1094
    assert set(y.flatten().tolist()) == {0.0, float(scale)}
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert update.grad is not None
    assert torch.equal(update.grad, y.detach().bfloat16())


@pytest.mark.parametrize("probability", [1e-7, 0.9999999, 1.0])
def test_probabilities_are_rounded_to_16_bits(probability: float) -> None:
    y = dropped(torch.ones(1000), probability)
    assert float((y != 0).float().mean()) == pytest.approx(1 - probability, abs=0.01)


def test_the_residual_gets_the_gradient_unchanged() -> None:
    x, update = torch.zeros(8, 9, requires_grad=True), torch.ones(8, 9)
    with seeded(0):
        torch.autograd.backward(dropout_add(x, update, 0.25, True).sum())
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones(8, 9))


@pytest.mark.parametrize("add", [False, True])
def test_the_backward_pass_keeps_one_byte_per_number(add: bool) -> None:
    x = torch.ones(8, 9, requires_grad=True)
    bytes_kept: list[int] = []

    def keep(item: Tensor) -> Tensor:
        bytes_kept.append(item.nbytes)
        return item

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda item: item):
        dropout_add(x, x, 0.25, True) if add else dropout(x, 0.25, True)
    assert sum(bytes_kept) == x.numel()
