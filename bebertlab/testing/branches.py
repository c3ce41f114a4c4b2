"""Quantizers of branches that get the same input."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.testing.law import hold


def check_branches(quantizer: Quantizer, x: Tensor) -> None:
    """`of_branches` gives what every branch gives by itself, also where their parameters differ.

    Raises:
        LawError: it does not.
    """
    twin, moved = copy.deepcopy(quantizer), copy.deepcopy(quantizer)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.mul_(0.9)
    alone = [quantizer(x), twin(x), moved(x)]
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients):
            together = quantizer.of_branches([twin, moved], x)
        same = len(together) == len(alone) and all(map(torch.equal, together, alone))
        hold(
            same,
            f"of_branches does not give forward(x) of every branch, {'with' if gradients else 'without'} gradients",
        )
