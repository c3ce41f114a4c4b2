"""Tensors by name, compared with those that a model expects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

import torch
from torch import Tensor

from bebertlab.errors import UserError

_NAMED = 5  #: the most names in a message; further ones are counted
#: parts of names that show where unexpected tensors come from
_ORIGINS = {
    r"\.(lora_\w+|base_layer|modules_to_save|adapters?|ia3_l)\.": "of an adapter; merge it into the weights first",
    r"\.(SCB|\w*absmax|q?zeros?(_points?)?|quant_(map|state\.\w+)|g_idx|(\w+_)?scales?(_inv)?|weight\._data)$": (
        "as in quantized checkpoints"
    ),
    r"\.crossattention\.": "of a decoder",
}


def check_tensors(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check that tensors have the names and shapes that a model expects.

    Raises:
        UserError: what is missing, unexpected or of another shape, by name.
    """
    check_shapes({name: tensor.shape for name, tensor in given.items()}, expected)


def check_shapes(given: Mapping[str, torch.Size], expected: Mapping[str, Tensor]) -> None:
    """Check names and shapes where the tensors themselves have not been read.

    Raises:
        UserError: what is missing, unexpected or of another shape, by name.
    """
    missing = [f"{name} {tuple(expected[name].shape)}" for name in expected if name not in given]
    unexpected = [name for name in given if name not in expected]
    wrong = [
        f"{name} is {tuple(given[name])}, should be {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name] != tensor.shape
    ]
    shown = [f"{name} {tuple(given[name])}" for name in unexpected]
    errors = [
        f"{problem}: {_listed(names)}"
        for problem, names in (("missing", missing), ("unexpected", shown), ("wrong shape", wrong))
        if names
    ]
    if errors:
        raise UserError("tensors do not fit the model: " + "; ".join(errors) + _origin(unexpected))


def left_out(given: Mapping[str, Tensor], converted: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of the given tensors whose values are in none of the tensors that they were converted to, under any name.

    Values are compared in single precision, regardless of shape; flags are ignored. Where several given tensors have
    the same values, the ones whose names share the longest prefix with those of converted tensors count as used.

    >>> one, two = torch.ones(1), torch.tensor(2.0)
    >>> left_out({"cls.a": one, "bert.a": one, "b": two}, {"bert.x.a": one, "x.b": two})
    ('cls.a',)
    """
    theirs = _by_values(given)
    ours = _by_values({name: tensor for name, tensor in converted.items() if tensor.dtype != torch.bool})
    unused = {name for values, names in theirs.items() for name in _unused(names, ours.get(values, []))}
    return tuple(name for name in given if name in unused)


def _by_values(tensors: Mapping[str, Tensor]) -> dict[bytes, list[str]]:
    """Names of the tensors with the same values, by a hash of these."""
    names: dict[bytes, list[str]] = {}
    for name, tensor in tensors.items():
        values = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
        names.setdefault(hashlib.sha256(values.tobytes()).digest(), []).append(name)
    return names


def _unused(given: Sequence[str], converted: Sequence[str]) -> list[str]:
    def similarity(name: str) -> int:
        return max(_common_prefix(name, other) for other in converted)

    return sorted(given, key=similarity)[: -len(converted)] if converted else list(given)


def _common_prefix(name: str, other: str) -> int:
    """The length of the common prefix of two names."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False))
    return sum(1 for _ in pairs)


def _origin(unexpected: Sequence[str]) -> str:
    """Where unexpected tensors come from, and a remedy."""
    for pattern, text in _ORIGINS.items():
        if any(map(re.compile(pattern).search, unexpected)):
            return f" ({text})"
    return ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
