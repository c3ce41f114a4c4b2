"""Tensors by name, compared with what a model wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from bebertlab.errors import UserError

_NAMED = 5  #: names in a message; the rest is counted


def check_tensors(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Compare names and shapes.

    Raises:
        UserError: what is missing, unexpected or of another shape, by name.
    """
    missing = [f"{name} {_shape(wanted[name])}" for name in wanted if name not in given]
    unexpected = [f"{name} {_shape(given[name])}" for name in given if name not in wanted]
    wrong = [
        f"{name} is {_shape(given[name])}, should be {_shape(tensor)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    faults = [
        f"{what}: {_listed(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("wrong shape", wrong))
        if names
    ]
    if faults:
        raise UserError("tensors do not fit the model: " + "; ".join(faults))


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
