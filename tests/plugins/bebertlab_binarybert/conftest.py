"""Golden vectors of quantizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import QuantizerOptions

if TYPE_CHECKING:
    from tests.conftest import Golden

#: makes the options of a case, or None where the case is of another quantizer
Make = Callable[[dict[str, Any]], QuantizerOptions | None]


@pytest.fixture
def agree(golden: Callable[[str], Golden]) -> Callable[[str, Make], int]:
    """Compares a quantizer with all golden cases that `Make` has options for, forward and backward.

    With `as_published` nothing is left out but what the file marks as a tie; without it exact zeros are of 1 bit, and
    what is not a number in the published code.
    """

    def compare(file: str, make: Make) -> int:
        vectors = golden(file)
        wanted = [(case, options) for case in vectors.cases if (options := make(case)) is not None]
        for case, options in wanted:
            _compare(vectors, case, options)
            published = evolve(options, as_published=True)  # type: ignore[call-arg] # every option of these has it
            _compare(vectors, case, published, published=True)
        return len(wanted)

    return compare


def _compare(vectors: Golden, case: dict[str, Any], options: QuantizerOptions, *, published: bool = False) -> None:
    name, tensors = case["name"], vectors.tensors
    quantizer = options.build(tensors["in/" + case["input"]].shape).train()
    own = dict(quantizer.named_parameters())
    with torch.no_grad():
        if "clip" in own:
            own["clip"].copy_(tensors[f"{name}/clip"])
        if "step" in own and not case["step_initialised_by_call"]:
            own["step"].copy_(tensors[f"{name}/step"])
            quantizer.get_buffer("initialised").fill_(True)
    x = tensors["in/" + case["input"]].clone().requires_grad_()
    upstream = tensors["gout/" + case["input"]]
    y = quantizer(x)
    y.backward(upstream)
    wanted = tensors[f"{name}/out"]
    left_out = tensors.get(f"{name}/sensitive", torch.zeros_like(x)).bool()
    if not published:
        left_out = left_out | (wanted.isnan() & (y == 0))  # an empty group gives zeros here
        if quantizer.bits == 1:
            left_out = left_out | (x == 0)  # zero counts as +1 here
    _close(y, wanted, "out", vectors, name, left_out)
    _close(quantizer.eval().encode(x).decode(), y, "out", vectors, name)
    assert x.grad is not None
    _close(x.grad, upstream if case["grad_is_upstream"] else tensors[f"{name}/grad"], "grad", vectors, name)
    for parameter, tensor in own.items():
        assert tensor.grad is not None
        _close(tensor.grad, tensors[f"{name}/grad_{parameter}"], f"grad_{parameter}", vectors, name)
    if case.get("step_initialised_by_call"):
        _close(own["step"], tensors[f"{name}/step"], "step_init", vectors, name)


def _close(
    found: Tensor, wanted: Tensor, what: str, vectors: Golden, case: str, left_out: Tensor | None = None
) -> None:
    close = torch.isclose(found.detach(), wanted, equal_nan=True, **vectors.meta["tolerance"][what])
    if left_out is not None:
        close = close | left_out
    assert close.all(), f"{case}: {what}"
