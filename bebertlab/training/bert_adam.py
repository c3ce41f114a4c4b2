"""The optimizer of BERT's reference code, which most papers on quantized BERTs use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bebertlab.interfaces.training_state import TrainingState
from bebertlab.training.optimizers import (
    FlatParameters,
    Group,
    Moments,
    Tables,
    flatten,
    fused_adamw,
    parameters_of,
    small_positions,
    starting_with,
)

#: a step count at which 1 - beta^count is exactly 1, so that the fused kernel of AdamW does not correct the bias;
#: adding 1 to it gives the same float32
_NO_CORRECTION = 2.0**24


class BertAdam:
    """Adam without bias correction; every parameter's gradient is clipped by its own norm.

    g = gradient * min(1, c / (norm + 1e-6)),  c the maximal norm (1 in the papers), no clipping where it is None;
    m = 0.9 m + 0.1 g,  v = 0.999 v + 0.001 g^2,  p = p - rate (m / (sqrt(v) + 1e-6) + decay p).
    Source: the BERT reference code, as in BinaryBERT's, TernaryBERT's, BiBERT's and BiT's optimizer.
    Differs: the schedule counts all steps of the phase; the published code counts int(examples / batch size) an epoch,
    as does the training option `published_schedule`. All parameters are at the same step; in the published code each
    counts from its own first gradient, which is in the first step for all parameters that a phase trains.
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
        self._positions: list[Sequence[int]] = []  # of the flat parameters of each group

    def step(self, factor: float) -> None:
        """Update all parameters by their gradients, at `factor` times their rates, and clear the gradients."""
        self._pieces = self._pieces or self._begin()
        gradients = {piece: tensors for piece in self._pieces if (tensors := piece.gradients())}
        for piece, divisors in zip(gradients, self._divisors([*gradients.values()]), strict=True):
            piece.update(divisors, factor, self._betas, self._epsilon)

    def clear(self) -> None:
        """Clear the gradients."""
        for piece in self._pieces:
            piece.clear()
        if not self._pieces:
            for parameter in parameters_of(self._groups):
                parameter.grad = None

    def state(self) -> TrainingState:
        """The moments of all parameters after the first step, and which parameters are flat."""
        tensors = {f"{i}.{name}": t for i, piece in enumerate(self._pieces) for name, t in piece.state().items()}
        return TrainingState(tensors=tensors, data={"flat": [[*positions] for positions in self._positions]})

    def restore(self, state: TrainingState) -> None:
        """Continue from a state; the parameters have their values already."""
        self._pieces = self._begin(state.data["flat"])
        for index, piece in enumerate(self._pieces):
            piece.restore(starting_with(f"{index}.", state.tensors))

    def moments(self, parameter: nn.Parameter) -> tuple[Tensor, Tensor] | None:
        """The first and second moment of a parameter's gradient; None before its first gradient."""
        moments = (piece.moments_of(parameter) for piece in self._pieces)
        return next((pair for pair in moments if pair is not None), None)

    def release(self) -> None:
        """Give every parameter its own memory again and drop the gradients; the optimizer cannot be used afterwards."""
        for piece in self._pieces:
            piece.release()
        self._pieces = []

    def _begin(self, positions: Sequence[Sequence[int]] | None = None) -> list[_Piece]:
        """Flatten the small parameters, or those at the positions that a state has for each group."""
        groups = [group.parameters for group in self._groups]
        self._positions = [small_positions(parameters) for parameters in groups] if positions is None else [*positions]
        return [
            piece
            for group, chosen in zip(self._groups, self._positions, strict=True)
            for piece in _pieces(group, chosen)
        ]

    def _divisors(self, gradients: Sequence[Sequence[Tensor]]) -> Sequence[Tensor | None]:
        """The divisors of the gradients of each piece, one element per parameter: max(1, (norm + 1e-6) / c)."""
        if self._gradient_norm is None or not gradients:
            return [None] * len(gradients)
        norms = torch.stack(torch._foreach_norm([gradient for piece in gradients for gradient in piece]))
        divisors = norms.add_(1e-6).div_(self._gradient_norm).clamp_(min=1.0)
        return torch.split(divisors, [len(piece) for piece in gradients])


class _Piece:
    """What one call updates: flat parameters, or a large one, with its moments."""

    def __init__(self, vector: nn.Parameter, group: Group, flat: FlatParameters | None = None) -> None:
        self._vector, self._group, self._flat = vector, group, flat
        self._tables = Tables()
        self._first = self._second = torch.empty(0)
        self._count = torch.tensor(_NO_CORRECTION, device=vector.device)

    def gradients(self) -> list[Tensor]:
        """The gradient of each parameter, without the zero rows of a table; empty if the loss does not depend on it."""
        if self._flat is not None:
            return self._flat.gradients
        gradient = self._tables.densify(self._vector)
        return [] if gradient is None else [gradient]

    def update(self, divisors: Tensor | None, factor: float, betas: tuple[float, float], epsilon: float) -> None:
        """Update the parameters and clear their gradients."""
        if not self._first.numel():
            self._first, self._second = torch.zeros_like(self._vector), torch.zeros_like(self._vector)
        gradient = self._vector.grad
        assert gradient is not None
        if self._flat is not None and divisors is not None:
            gradient.div_(divisors.repeat_interleave(self._flat.lengths, output_size=len(gradient)))
            divisors = None
        moments = Moments(first=[self._first], second=[self._second], counts=[self._count])
        divisor = None if divisors is None else divisors[0]
        fused_adamw([self._vector], moments, self._group, factor, betas=betas, epsilon=epsilon, divisor=divisor)
        self.clear()

    def clear(self) -> None:
        """Clear the gradients."""
        if self._flat is None:
            self._tables.clear(self._vector)
        else:
            self._flat.gradient.zero_()

    def state(self) -> dict[str, Tensor]:
        """The moments; empty before the first gradient."""
        return {"first": self._first, "second": self._second} if self._first.numel() else {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        if tensors:
            device = self._vector.device
            self._first, self._second = tensors["first"].to(device), tensors["second"].to(device)

    def moments_of(self, parameter: nn.Parameter) -> tuple[Tensor, Tensor] | None:
        """The moments of a parameter of this piece; None for others."""
        if not self._first.numel():
            return None
        if self._flat is not None:
            elements = self._flat.elements_of(parameter)
            return None if elements is None else (self._first[elements], self._second[elements])
        return (self._first, self._second) if parameter is self._vector else None

    def release(self) -> None:
        """Give the parameters their own memory again and drop their gradients."""
        if self._flat is not None:
            self._flat.release()
        self._vector.grad = None


def _pieces(group: Group, positions: Sequence[int]) -> list[_Piece]:
    flat, separate = flatten(group.parameters, positions)
    return [
        *(_Piece(parameters.vector, group, parameters) for parameters in flat),
        *(_Piece(parameter, group) for parameter in separate),
    ]
