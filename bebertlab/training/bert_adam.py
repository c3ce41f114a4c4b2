"""The optimizer of BERT's reference code, which most papers on quantized BERTs use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bebertlab.training.optimizers import FlatParameters, Group, Moments, Tables, bundle, fused_adamw

#: a step count at which 1 - beta^count is exactly 1, so that the fused kernel of AdamW corrects no bias;
#: adding 1 to it gives the same float32 again
_ENDLESS = 2.0**24


class BertAdam:
    """Adam without bias correction; every parameter's gradient is clipped by its own norm.

    g = gradient * min(1, c / (norm + 1e-6)),  c the norm allowed (1 in the papers), no clipping where it is None;
    m = 0.9 m + 0.1 g,  v = 0.999 v + 0.001 g^2,  p = p - rate (m / (sqrt(v) + 1e-6) + decay p).
    Source: the BERT reference code, as in BinaryBERT's, TernaryBERT's, BiBERT's and BiT's optimizer.
    Differs: the schedule counts all steps of the phase; the published code counts int(examples / batch size) an epoch,
    as does the training option `published_schedule`. All parameters are at the same step; in the published code each
    counts from its own first gradient, which comes in the first step for all that a phase trains.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        gradient_norm: float | None,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-6,
    ) -> None:
        self._groups = groups
        self._gradient_norm = gradient_norm
        self._betas = betas
        self._epsilon = epsilon
        self._pieces: list[_Piece] = []

    def step(self, factor: float) -> None:
        """Update all parameters by their gradients, at `factor` times their rates, and clear the gradients."""
        self._pieces = self._pieces or [piece for group in self._groups for piece in _pieces(group)]
        gradients = {piece: found for piece in self._pieces if (found := piece.gradients())}
        for piece, divisors in zip(gradients, self._divisors([*gradients.values()]), strict=True):
            piece.update(divisors, factor, self._betas, self._epsilon)

    def moments(self, parameter: nn.Parameter) -> tuple[Tensor, Tensor] | None:
        """The first and second moment of a parameter's gradient; None before its first gradient."""
        found = [piece.moments_of(parameter) for piece in self._pieces]
        return next((one for one in found if one is not None), None)

    def release(self) -> None:
        """Give every parameter memory of its own again and drop the gradients; the optimizer is of no use after."""
        for piece in self._pieces:
            piece.release()
        self._pieces = []

    def _divisors(self, gradients: Sequence[Sequence[Tensor]]) -> Sequence[Tensor | None]:
        """What the gradients of each piece are divided by, one number a parameter: max(1, (norm + 1e-6) / c)."""
        if self._gradient_norm is None or not gradients:
            return [None] * len(gradients)
        norms = torch.stack(torch._foreach_norm([one for several in gradients for one in several]))
        divisors = norms.add_(1e-6).div_(self._gradient_norm).clamp_(min=1.0)
        return torch.split(divisors, [len(several) for several in gradients])


class _Piece:
    """What one call updates: a bundle, or a large parameter, with its moments."""

    def __init__(self, vector: nn.Parameter, group: Group, laid: FlatParameters | None = None) -> None:
        self._vector, self._group, self._bundle = vector, group, laid
        self._tables = Tables()
        self._first = self._second = torch.empty(0)
        self._count = torch.tensor(_ENDLESS, device=vector.device)

    def gradients(self) -> list[Tensor]:
        """That of each parameter, without zero rows of a table; empty where the loss did not reach it."""
        if self._bundle is not None:
            return self._bundle.gradients
        gradient = self._tables.lay(self._vector)
        return [] if gradient is None else [gradient]

    def update(self, divisors: Tensor | None, factor: float, betas: tuple[float, float], epsilon: float) -> None:
        """Move the parameters and clear their gradients."""
        if not self._first.numel():
            self._first, self._second = torch.zeros_like(self._vector), torch.zeros_like(self._vector)
        gradient = self._vector.grad
        assert gradient is not None
        if self._bundle is not None and divisors is not None:
            gradient.div_(divisors.repeat_interleave(self._bundle.lengths, output_size=len(gradient)))
            divisors = None
        moments = Moments(first=[self._first], second=[self._second], counts=[self._count])
        divisor = None if divisors is None else divisors[0]
        fused_adamw([self._vector], moments, self._group, factor, betas=betas, epsilon=epsilon, divisor=divisor)
        if self._bundle is None:
            self._tables.clear(self._vector)
        else:
            gradient.zero_()

    def moments_of(self, parameter: nn.Parameter) -> tuple[Tensor, Tensor] | None:
        """Those of a parameter that is in here."""
        if not self._first.numel():
            return None
        if self._bundle is not None:
            place = self._bundle.place(parameter)
            return None if place is None else (self._first[place], self._second[place])
        return (self._first, self._second) if parameter is self._vector else None

    def release(self) -> None:
        """Give the parameters memory of their own again and drop their gradients."""
        if self._bundle is not None:
            self._bundle.release()
        self._vector.grad = None


def _pieces(group: Group) -> list[_Piece]:
    bundles, alone = bundle(group.parameters)
    return [*(_Piece(one.vector, group, one) for one in bundles), *(_Piece(one, group) for one in alone)]
