"""Signs, with zero as here or as in the papers' code."""

from __future__ import annotations

import torch
from torch import Tensor

from bebertlab.api import sign


def signs(x: Tensor, as_published: bool) -> Tensor:
    """The sign; zero counts as +1, or with `as_published` is a third value.

    >>> signs(torch.tensor([-2.0, 0.0]), False), signs(torch.tensor([-2.0, 0.0]), True)
    (tensor([-1.,  1.]), tensor([-1.,  0.]))
    """
    return torch.sign(x) if as_published else sign(x)


def sign_bits(as_published: bool) -> int:
    """Bits of a sign: three values take two."""
    return 2 if as_published else 1
