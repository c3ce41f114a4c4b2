"""Where torch computes, and with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bebertlab.errors import SetupError, first_line


def check_device(device: str | torch.device) -> None:
    """Check that torch can use a device.

    Raises:
        SetupError: it cannot.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SetupError(f"device '{device}' cannot be used: {first_line(error)}") from error


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Compute with this number of threads; logits of models in full precision depend on it in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
