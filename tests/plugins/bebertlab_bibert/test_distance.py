from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab_bibert.distance import direction_distance

SEEDS = st.integers(0, 2**31)


def tensor(seed: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("per_example", [False, True])
@given(SEEDS, st.floats(1e-3, 1e3))
def test_only_the_direction_counts(per_example: bool, seed: int, size: float) -> None:
    u, v = tensor(seed), tensor(seed + 1)
    distance = direction_distance(u, v, per_example=per_example)
    assert torch.allclose(direction_distance(size * u, v, per_example=per_example), distance, atol=1e-6)
    assert torch.allclose(direction_distance(v, u, per_example=per_example), distance, atol=1e-6)
    assert not direction_distance(u, u.clone(), per_example=per_example).any()
    opposite = direction_distance(u, -size * u, per_example=per_example)
    assert torch.allclose(opposite, torch.full_like(distance, 2.0))


def test_the_angle_by_hand() -> None:
    u, v = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[3.0, 3.0]]])
    assert float(direction_distance(u, v)) == pytest.approx(2 * math.sin(math.pi / 8))


@pytest.mark.parametrize("per_example", [False, True])
@given(SEEDS)
def test_the_gradient_is_that_of_the_formula(per_example: bool, seed: int) -> None:
    u, v = tensor(seed, dtype=torch.float64).requires_grad_(), tensor(seed + 1, dtype=torch.float64)
    upstream = torch.rand(3 if per_example else (), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    over = (1, 2) if per_example else (0, 1, 2)
    parts = [x / torch.linalg.vector_norm(x, dim=over, keepdim=True) for x in (u, v)]
    wanted = torch.linalg.vector_norm(parts[0] - parts[1], dim=over)
    found = direction_distance(u, v, per_example=per_example)
    assert torch.allclose(found, wanted)
    (found_gradient,), (wanted_gradient,) = (torch.autograd.grad((x * upstream).sum(), u) for x in (found, wanted))
    assert torch.allclose(found_gradient, wanted_gradient, atol=1e-12)


def test_finite_differences() -> None:
    u, v = tensor(0, dtype=torch.float64).requires_grad_(), tensor(1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: direction_distance(x, v), u)
    assert torch.autograd.gradcheck(lambda x: direction_distance(x, v, per_example=True), u)


@pytest.mark.parametrize("short", [0.0, 1e-20])
@pytest.mark.parametrize("per_example", [False, True])
def test_what_has_no_direction_is_one_away_and_not_pulled(short: float, per_example: bool) -> None:
    u, v = tensor(0), tensor(1)
    cases = [(short * u, v, 1.0), (u, short * v, 1.0), (short * u, short * v, 0.0), (u, u.clone(), 0.0)]
    for student, teacher, wanted in cases:
        student = student.clone().requires_grad_()
        distance = direction_distance(student, teacher, per_example=per_example)
        assert torch.allclose(distance, torch.full_like(distance, wanted))
        torch.autograd.backward(distance.sum())
        assert student.grad is not None
        assert not student.grad.any()


def test_one_example_without_a_direction_leaves_the_others_alone() -> None:
    u, v = tensor(0), tensor(1)
    u[1] = 0.0
    u.requires_grad_()
    torch.autograd.backward(direction_distance(u, v, per_example=True).sum())
    assert u.grad is not None
    assert u.grad.isfinite().all()
    assert [bool(row.any()) for row in u.grad] == [True, False, True]


def test_half_precision_of_one_side_is_compared_in_single() -> None:
    u, v = tensor(0).bfloat16().requires_grad_(), tensor(1)
    distance = direction_distance(u, v)
    assert distance.dtype == torch.float32
    assert torch.allclose(distance, direction_distance(u.detach().float(), v))
    torch.autograd.backward(distance)
    assert u.grad is not None
    assert u.grad.dtype == torch.bfloat16
