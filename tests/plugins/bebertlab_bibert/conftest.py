"""Golden vectors of quantizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from bebertlab.api import QuantizerOptions

if TYPE_CHECKING:
    from tests.conftest import Golden

#: makes the options of a case, or None where the case is of another quantizer
Make = Callable[[dict[str, Any]], QuantizerOptions | None]


@pytest.fixture
def agree(golden: Callable[[str], Golden]) -> Callable[[str, Make], int]:
    """Compares a quantizer with all golden cases that `Make` has options for, forward and backward."""

    def compare(file: str, make: Make) -> int:
        vectors = golden(file)
        wanted = [(case, options) for case in vectors.cases if (options := make(case)) is not None]
        for case, options in wanted:
            _compare(vectors, case, options)
        return len(wanted)

    return compare


def _compare(vectors: Golden, case: dict[str, Any], options: QuantizerOptions) -> None:
    name, tensors, tolerance = case["name"], vectors.tensors, vectors.meta["tolerance"]
    x = tensors["in/" + case["input"]].clone().requires_grad_()
    upstream = tensors["gout/" + case["input"]]
    y = options.build(x.shape).train()(x)
    y.backward(upstream)
    left_out = tensors.get(f"{name}/sensitive", torch.zeros_like(x)).bool()
    close = torch.isclose(y, tensors[f"{name}/out"], **tolerance["out"]) | left_out
    assert close.all(), f"{name}: out"
    wanted = upstream if case["grad_is_upstream"] else tensors[f"{name}/grad"]
    torch.testing.assert_close(x.grad, wanted, **tolerance["grad"], msg=lambda text: f"{name}: grad: {text}")
