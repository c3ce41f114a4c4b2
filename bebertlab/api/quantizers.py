"""Quantizers: their contract and capabilities, and building blocks."""

from __future__ import annotations

from bebertlab.interfaces.capabilities import (
    ParameterGroup,
    SupportsBranchCodes,
    SupportsBranches,
    SupportsParameterGroups,
    SupportsProgress,
    SupportsRowWise,
    SupportsStateTransfer,
    SupportsTableRows,
    SupportsUnscaled,
)
from bebertlab.interfaces.quantizer import SIGNS, TERNARY, ZERO_ONE, Alphabet, Codes, Quantizer, QuantizerOptions
from bebertlab.model.primitives import (
    GRANULARITIES,
    Granularity,
    at_least_float32,
    clipped_ste,
    group_max,
    group_mean,
    group_size,
    group_sum,
    integer_dtype,
    mask_gradient,
    sign,
    straight_through,
)

__all__ = [
    "GRANULARITIES",
    "SIGNS",
    "TERNARY",
    "ZERO_ONE",
    "Alphabet",
    "Codes",
    "Granularity",
    "ParameterGroup",
    "Quantizer",
    "QuantizerOptions",
    "SupportsBranchCodes",
    "SupportsBranches",
    "SupportsParameterGroups",
    "SupportsProgress",
    "SupportsRowWise",
    "SupportsStateTransfer",
    "SupportsTableRows",
    "SupportsUnscaled",
    "at_least_float32",
    "clipped_ste",
    "group_max",
    "group_mean",
    "group_size",
    "group_sum",
    "integer_dtype",
    "mask_gradient",
    "sign",
    "straight_through",
]
