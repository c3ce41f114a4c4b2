"""The learned shift of BiT: a number for each channel that moves the threshold of a quantizer.

Not a module of its own: the parameter is called `shift` in a state dict, whatever the quantizer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bebertlab.api import ParameterGroup, UserError

#: the shift means the same whatever the bits: the next step of a distillation chain starts from it
LASTING = frozenset({"shift"})


def new_shift(kind: str, shape: torch.Size) -> nn.Parameter:
    """Zeros, one for each channel of a tensor that the quantizer is built for.

    Raises:
        UserError: the last dimension of the tensor varies.
    """
    if not shape:
        raise UserError(
            f"quantizer '{kind}': a shift needs a fixed number of channels, and attention probabilities have as many as"
            " there are tokens; leave out `shift` there"
        )
    return nn.Parameter(torch.zeros(shape[-1]))


def add_shift(x: Tensor, shift: Tensor | None) -> Tensor:
    """x + shift in the dtype of x."""
    return x if shift is None else x + shift.to(x.dtype)


def groups(*, shift: nn.Parameter | None, scale: nn.Parameter | None = None) -> tuple[ParameterGroup, ...]:
    """A scale learns as steps and clips do; a shift as a bias, as which the published code stores it."""
    scales = () if scale is None else (ParameterGroup(parameters=(scale,)),)
    return scales if shift is None else (*scales, ParameterGroup(parameters=(shift,), no_decay_group=True))
