"""Quantizers of BiT against its published code: outputs, scales that the first batch sets, all gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import QuantizerOptions
from bebertlab_bit import CentredSign, Elastic

if TYPE_CHECKING:
    from tests.conftest import Golden


def options_of(case: dict[str, Any], as_published: bool) -> QuantizerOptions:
    kind = case["quantizer"]
    if kind.startswith("BiT bwn"):
        return CentredSign(granularity="row" if case["granularity"] == "row" else "tensor", as_published=as_published)
    if kind.startswith("BiT elastic"):
        unsigned = "{0,1}" in kind or "unsigned" in kind
        return Elastic(bits=case["bits"], signed=not unsigned, as_published=as_published)
    raise ValueError(f"{case['name']}: there is no quantizer '{kind}' here")


@pytest.mark.parametrize("as_published", [False, True])
def test_weights_equal_the_published_ones(golden: Callable[[str], Golden], as_published: bool) -> None:
    vectors = golden("weight_quant").of("bit")
    for case in vectors.cases:
        compare(vectors, case, options_of(case, as_published))


@pytest.mark.parametrize("as_published", [False, True])
def test_activations_equal_the_published_ones(golden: Callable[[str], Golden], as_published: bool) -> None:
    vectors = golden("act_quant").of("bit")
    for case in vectors.cases:
        compare(vectors, case, options_of(case, as_published))


def compare(vectors: Golden, case: dict[str, Any], options: QuantizerOptions) -> None:
    """Positions where the published code gives 0 and the options have no level 0 are excluded.

    The gradient of the scale is excluded as well.
    """
    name, t = case["name"], vectors.below(case["name"])
    x = vectors.tensors["in/" + case["input"]].clone().requires_grad_()
    quantizer = options.build(x.shape).train()
    scale = dict(quantizer.named_parameters()).get("scale")
    if scale is not None and not case["step_initialised_by_call"]:
        quantizer.load_state_dict({"scale": t["step"], "initialised": torch.tensor(True)})
    y = quantizer(x)
    upstream, expected = vectors.tensors["gout/" + case["input"]], t["out"]
    y.backward(upstream)
    signs = set(quantizer.eval().encode(x).levels.flatten().tolist()) <= {-1, 1}
    third = (expected == 0) & signs
    left_out = third | t.get("sensitive", torch.zeros_like(x)).bool()
    close(vectors, name, "out", y, expected, left_out)
    assert x.grad is not None
    close(vectors, name, "grad", x.grad, upstream if case["grad_is_upstream"] else t["grad"])
    if scale is None:
        return
    assert scale.grad is not None
    if case["step_gradient_exists"] and not third.any():
        close(vectors, name, "grad_step", scale.grad, t["grad_step"])
    close(vectors, name, "step_init", scale, t["step"])


def close(
    vectors: Golden, case: str, what: str, actual: Tensor, expected: Tensor, left_out: Tensor | None = None
) -> None:
    agrees = torch.isclose(actual.detach(), expected, **vectors.meta["tolerance"][what])
    assert (agrees if left_out is None else agrees | left_out).all(), f"{case}: {what}"
