"""Quantizers of BiBERT, and of the copy of it that BEBERT uses, against their published code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from bebertlab.api import QuantizerOptions
from bebertlab_bibert import Bibert, Bool, Sign

if TYPE_CHECKING:
    from tests.conftest import Golden


def options_of(case: dict[str, Any], code: str) -> QuantizerOptions:
    """The quantizer of a case; signs are those of Q, K and V, which only BEBERT's copy scales."""
    kind = case["quantizer"]
    if "row-mean centred" in kind:
        return Bibert(as_published=True)
    if "attention bool" in kind:
        return Bool()
    if "BERT sign" in kind:
        return Sign(strict=True, scaled=code == "BEBERT/BiBERT", as_published=True)
    raise ValueError(f"{case['name']}: there is no quantizer '{kind}' here")


def test_weights_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("weight_quant").of("BiBERT", "BEBERT/BiBERT")
    for case in vectors.cases:
        compare(vectors, case)


def test_activations_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("act_quant").of("BiBERT", "BEBERT/BiBERT")
    for case in vectors.cases:
        compare(vectors, case)


def compare(vectors: Golden, case: dict[str, Any]) -> None:
    name, t, tolerance = case["name"], vectors.below(case["name"]), vectors.meta["tolerance"]
    x = vectors.tensors["in/" + case["input"]].clone().requires_grad_()
    upstream = vectors.tensors["gout/" + case["input"]]
    y = options_of(case, vectors.code(case)).build(x.shape).train()(x)
    y.backward(upstream)
    left_out = t.get("sensitive", torch.zeros_like(x)).bool()
    close = torch.isclose(y, t["out"], **tolerance["out"]) | left_out
    assert close.all(), f"{name}: out"
    expected = upstream if case["grad_is_upstream"] else t["grad"]
    torch.testing.assert_close(x.grad, expected, **tolerance["grad"], msg=lambda text: f"{name}: grad: {text}")
