"""Golden vectors of BiT: numbers that its published code produced."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import QuantizerOptions

if TYPE_CHECKING:
    from tests.conftest import Golden

#: makes the options of a case, or None where the case is of another quantizer
Make = Callable[[dict[str, Any]], QuantizerOptions | None]


@pytest.fixture
def agree(golden: Callable[[str], Golden]) -> Callable[[str, Make], int]:
    """Compares a quantizer with all golden cases that `Make` has options for, forward and backward.

    Where the published code gives 0 and the options have no level 0, that place is left out, and with it the gradient
    of the scale.
    """

    def compare(file: str, make: Make) -> int:
        vectors = golden(file)
        wanted = [(case, options) for case in vectors.cases if (options := make(case)) is not None]
        for case, options in wanted:
            _compare(vectors, case, options)
        return len(wanted)

    return compare


def _compare(vectors: Golden, case: dict[str, Any], options: QuantizerOptions) -> None:
    name, tensors = case["name"], vectors.tensors
    x = tensors["in/" + case["input"]].clone().requires_grad_()
    quantizer = options.build(x.shape).train()
    scale = dict(quantizer.named_parameters()).get("scale")
    if scale is not None and not case["step_initialised_by_call"]:
        state = {"scale": tensors[f"{name}/step"], "initialised": torch.tensor(True)}
        quantizer.load_state_dict(state)
    y = quantizer(x)
    upstream, wanted = tensors["gout/" + case["input"]], tensors[f"{name}/out"]
    y.backward(upstream)
    signs = set(quantizer.eval().encode(x).levels.flatten().tolist()) <= {-1, 1}
    third = (wanted == 0) & signs
    left_out = third | tensors.get(f"{name}/sensitive", torch.zeros_like(x)).bool()
    _close(vectors, name, "out", y, wanted, left_out)
    assert x.grad is not None
    _close(vectors, name, "grad", x.grad, upstream if case["grad_is_upstream"] else tensors[f"{name}/grad"])
    if scale is None:
        return
    assert scale.grad is not None
    if case["step_gradient_exists"] and not third.any():
        _close(vectors, name, "grad_step", scale.grad, tensors[f"{name}/grad_step"])
    _close(vectors, name, "step_init", scale, tensors[f"{name}/step"])


def _close(
    vectors: Golden, case: str, what: str, found: Tensor, wanted: Tensor, left_out: Tensor | None = None
) -> None:
    close = torch.isclose(found.detach(), wanted, **vectors.meta["tolerance"][what])
    assert (close if left_out is None else close | left_out).all(), f"{case}: {what}"
