"""IR-Net's error decay estimator: a gradient of the sign that sharpens while training goes on."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Decay(nn.Module):
    """The derivative of k tanh(t x) in the stead of that of the sign.

    t = first (last / first)^p,  k = max(1 / t, 1),  p the part of the training that is done.
    Source: IR-Net, arXiv:1909.10788, section 3.3 (error decay estimator).

    >>> decay = Decay(0.1, 10.0)
    >>> decay.progress(0.5)
    >>> decay.steepness, decay.factor
    (tensor(1.), tensor(1.))
    """

    steepness: Tensor  #: t
    factor: Tensor  #: k

    def __init__(self, first: float, last: float) -> None:
        super().__init__()
        self._first, self._last = first, last
        # tensors, since a compiler would compile anew for every number; not saved, since every training begins at 0
        self.register_buffer("steepness", torch.tensor(0.0), persistent=False)
        self.register_buffer("factor", torch.tensor(0.0), persistent=False)
        self.progress(0.0)

    def progress(self, fraction: float) -> None:
        """Sharpen as is right when that part of the training is done."""
        steepness = self._first * (self._last / self._first) ** fraction
        self.steepness.fill_(steepness)
        self.factor.fill_(max(1 / steepness, 1.0))


def decayed(gradient: Tensor, x: Tensor, steepness: Tensor, factor: Tensor) -> Tensor:
    """The gradient times k t (1 - tanh(t x)^2)."""
    steep = torch.tanh(x * steepness.to(x.dtype))
    # the derivative of tanh, in one pass
    passed: Tensor = torch.ops.aten.tanh_backward(gradient, steep)
    return passed.mul_((steepness * factor).to(passed.dtype))
