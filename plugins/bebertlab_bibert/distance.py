"""How far two tensors point in different directions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: a tensor this short has no direction: it counts as zeros, and nothing pulls at it
_SHORTEST = 1e-12


def direction_distance(student: Tensor, teacher: Tensor, *, per_example: bool = False) -> Tensor:
    """The distance of two tensors after both are brought to length 1: 0 for equal directions, 2 for opposite ones.

    D(u, v) = || u / ||u|| - v / ||v|| ||, Frobenius norms over the whole tensors, or over those of each example.
    Shape: u and v (B, ...) -> (), per_example (B,).
    Gradient: (c u / ||u|| - v / ||v||) / (||u|| D) to u with c = 1 - D^2 / 2, none to v; 0 where u or v is zero
    (then D = 1, or 0 if both are) or D is.

    >>> u = torch.tensor([[3.0, 4.0]])
    >>> [float(direction_distance(u, v)) for v in (2 * u, -u, 0 * u)]
    [0.0, 2.0, 1.0]
    """
    distance: Tensor = _Distance.apply(student, teacher.detach(), per_example)  # type: ignore[no-untyped-call]
    return distance


class _Distance(torch.autograd.Function):
    # autograd of the formula makes three times as many passes over the tensors
    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, per_example: bool) -> Tensor:  # noqa: ANN401
        u, v = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (student, teacher))
        over = tuple(range(1, u.ndim)) if per_example else tuple(range(u.ndim))
        u_size, v_size = (torch.linalg.vector_norm(x, dim=over, keepdim=True) for x in (u, v))
        u_scale, v_scale = (torch.where(size < _SHORTEST, 0.0, 1.0 / size) for size in (u_size, v_size))
        difference = (u * u_scale).sub_(v * v_scale)  # not addcmul: on a GPU equal tensors would differ by a rounding
        distance: Tensor = torch.linalg.vector_norm(difference, dim=over, keepdim=True)
        ctx.save_for_backward(student, teacher, u_scale, v_scale, distance)
        return distance.view(-1 if per_example else ())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's own type
        student, teacher, u_scale, v_scale, distance = ctx.saved_tensors
        apart = (distance > 0) & (v_scale > 0)  # zeros have a u_scale of 0 anyway
        rate = torch.where(apart, gradient.view(distance.shape) * u_scale / distance, 0.0)
        along = rate * u_scale * (1 - distance.square() / 2)
        pulled = (student * along).addcmul_(teacher.to(along.dtype), -rate * v_scale)
        return pulled.to(student.dtype), None, None
