"""Quantizers of BinaryBERT and TernaryBERT against their published code: outputs, codes, all gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import QuantizerOptions
from bebertlab.model.primitives import Granularity
from bebertlab_binarybert import Bwn, Laq, Lsq, Twn, Uniform

if TYPE_CHECKING:
    from tests.conftest import Golden

Case = dict[str, Any]


def options_of(case: Case, code: str, t: dict[str, Tensor]) -> QuantizerOptions:
    """The quantizer of a case; TernaryBERT's clips are not learned."""
    granularity: Granularity = "row" if case["granularity"] == "row" else "tensor"
    kind, bits = case["quantizer"], case["bits"]
    match kind:
        case "bwn":
            return Bwn(granularity=granularity)
        case "twn":
            return Twn(granularity=granularity)
        case "twn with clipping first (TernaryBERT)":
            return Twn(granularity=granularity, clip=float(t["clip"][1]))
        case "laq":
            return Laq(bits=bits, granularity=granularity)
        case "sym_uniform" | "asym_uniform":
            fixed: dict[str, Any] = {"learnable": False, "clip": float(t["clip"][1])} if code == "TernaryBERT" else {}
            return Uniform(bits=bits, granularity=granularity, symmetric=kind == "sym_uniform", **fixed)
        case "lsq_sym" | "lsq_asym":
            return Lsq(bits=bits, symmetric=kind == "lsq_sym")
    raise ValueError(f"{case['name']}: there is no quantizer '{kind}' here")


def test_weights_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("weight_quant").of("BinaryBERT", "TernaryBERT", "BEBERT/binarybert")
    for case in vectors.cases:
        compare_both(vectors, case)


def test_activations_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("act_quant").of("BinaryBERT", "TernaryBERT", "BEBERT/binarybert")
    for case in vectors.cases:
        compare_both(vectors, case)


def compare_both(vectors: Golden, case: Case) -> None:
    """As published, everything except ties that the file marks; and with the defaults of bebertlab.

    Here exact zeros are of 1 bit, what is not a number in the published code is 0, and a step has a smallest size.
    """
    t = vectors.below(case["name"])
    options = options_of(case, vectors.code(case), t)
    compare(vectors, case, evolve(options, as_published=True), published=True)  # type: ignore[call-arg] # all have it
    if "step" not in t or float(t["step"]) >= 1e-5:
        compare(vectors, case, options, published=False)


def compare(vectors: Golden, case: Case, options: QuantizerOptions, *, published: bool) -> None:
    t = vectors.below(case["name"])
    actual, upstream = vectors.tensors["in/" + case["input"]], vectors.tensors["gout/" + case["input"]]
    x = actual.clone().requires_grad_()
    quantizer = options.build(x.shape).train()
    parameters = dict(quantizer.named_parameters())
    set_by_call = case.get("step_initialised_by_call", False)
    with torch.no_grad():
        if "clip" in parameters:
            parameters["clip"].copy_(t["clip"])
        if "step" in parameters and not set_by_call:
            parameters["step"].copy_(t["step"])
            quantizer.get_buffer("initialised").fill_(True)
    y = quantizer(x)
    y.backward(upstream)
    left_out = t.get("sensitive", torch.zeros_like(x)).bool()
    if not published:
        left_out = left_out | (t["out"].isnan() & (y == 0))
        if quantizer.bits == 1:
            left_out = left_out | (x == 0)
    close(vectors, case, "out", y, t["out"], left_out)
    close(vectors, case, "out", quantizer.eval().encode(x).decode(), y)
    close(vectors, case, "grad", x.grad, upstream if case["grad_is_upstream"] else t["grad"])
    for parameter, tensor in parameters.items():
        close(vectors, case, f"grad_{parameter}", tensor.grad, t[f"grad_{parameter}"])
    if set_by_call:
        close(vectors, case, "step_init", parameters["step"], t["step"])


#: settings that one file lacks, taken from the other file
TOLERANCES = {"grad_step": {"atol": 1e-5, "rtol": 1e-4}, "step_init": {"atol": 0.0, "rtol": 1e-5}}


def close(
    vectors: Golden, case: Case, what: str, actual: Tensor | None, expected: Tensor, left_out: Tensor | None = None
) -> None:
    assert actual is not None, f"{case['name']}: {what}"
    tolerance = {**TOLERANCES, **vectors.meta["tolerance"]}[what]
    agrees = torch.isclose(actual.detach(), expected, equal_nan=True, **tolerance)
    assert (agrees if left_out is None else agrees | left_out).all(), f"{case['name']}: {what}"


def test_an_unknown_quantizer_of_the_golden_file_is_an_error() -> None:
    with pytest.raises(ValueError, match="new: there is no quantizer 'pact' here"):
        options_of({"name": "new", "granularity": "row", "quantizer": "pact", "bits": 4}, "BinaryBERT", {})
