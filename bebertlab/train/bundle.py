"""The parameters of an optimizer: small ones laid end to end, large ones left as they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

#: numbers below which a parameter is laid into a vector with its neighbours; a larger one is worth a call of its own
SMALL = 2**15

_LINE = 16  # numbers of a cache line


class Bundle:
    """Parameters laid end to end, and their gradients; each begins on a cache line, for the products that read it.

    The parameters become views of `vector`, and their gradients views of `gradient`, until `release`.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        starts = list(accumulate((-(-p.numel() // _LINE) * _LINE for p in parameters), initial=0))
        self.vector = nn.Parameter(parameters[0].new_zeros(starts[-1]))
        #: (parameters,) numbers that each takes, those up to the end of its cache line included
        self.lengths = torch.tensor(starts, device=self.vector.device).diff()
        self.gradient = torch.zeros_like(self.vector)
        self.vector.grad = self.gradient
        self.gradients: list[Tensor] = []  #: that of each parameter
        for p, start in zip(parameters, starts, strict=False):
            values = self.vector.data[start : start + p.numel()].view_as(p)
            gradient = self.gradient[start : start + p.numel()].view_as(p)
            values.copy_(p.data)
            if p.grad is not None:
                gradient.copy_(p.grad)
            p.data, p.grad = values, gradient
            self.gradients.append(gradient)

    def place(self, parameter: nn.Parameter) -> slice | None:
        """Where a parameter lies in `vector`; None where it does not."""
        for one, gradient in zip(self.parameters, self.gradients, strict=True):
            if one is parameter:
                start = gradient.storage_offset()
                return slice(start, start + gradient.numel())
        return None

    def release(self) -> None:
        """Give every parameter memory of its own again and drop the gradients."""
        for parameter in self.parameters:
            parameter.data = parameter.data.clone()
            parameter.grad = None


class Tables:
    """Dense memory for sparse gradients: kept from step to step, so that only the rows of a batch are written."""

    def __init__(self) -> None:
        self._memory: dict[nn.Parameter, Tensor] = {}
        self._rows: dict[nn.Parameter, Tensor] = {}

    def lay(self, parameter: nn.Parameter) -> Tensor | None:
        """Make the gradient of a parameter dense; returns all of it that is not zero, None where it has none."""
        gradient = parameter.grad
        if gradient is None or not gradient.is_sparse:
            return gradient
        gradient = gradient.coalesce()
        rows = self._rows[parameter] = gradient.indices()[0]
        if parameter not in self._memory:
            self._memory[parameter] = torch.zeros_like(parameter)
        parameter.grad = self._memory[parameter].index_copy_(0, rows, gradient.values())
        return gradient.values()

    def clear(self, parameter: nn.Parameter) -> None:
        """Drop the gradient of a parameter."""
        parameter.grad = None
        if (rows := self._rows.pop(parameter, None)) is not None:
            self._memory[parameter].index_fill_(0, rows, 0.0)


def bundle(parameters: Sequence[nn.Parameter]) -> tuple[list[Bundle], list[nn.Parameter]]:
    """Lay the small parameters that have a gradient end to end; the others stay alone.

    A parameter without a gradient neither moves nor decays, and it could not do so as a part of a vector.
    """
    small = [p for p in parameters if p.grad is not None and not p.grad.is_sparse and p.numel() < SMALL]
    chosen = {id(p) for p in small}
    return [Bundle(small)] if small else [], [p for p in parameters if id(p) not in chosen]
