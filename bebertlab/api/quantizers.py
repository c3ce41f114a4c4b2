"""What a quantizer is written with: its classes, straight-through gradients and the dtypes of codes."""

from __future__ import annotations

from bebertlab.interfaces.quantizer import Codes, ParameterGroup, Quantizer, QuantizerOptions
from bebertlab.model.straight_through import (
    at_least_float32,
    clipped_ste,
    integer_dtype,
    mask_gradient,
    sign,
    straight_through,
)

__all__ = [
    "Codes",
    "ParameterGroup",
    "Quantizer",
    "QuantizerOptions",
    "at_least_float32",
    "clipped_ste",
    "integer_dtype",
    "mask_gradient",
    "sign",
    "straight_through",
]
