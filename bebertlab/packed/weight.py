"""A quantized matrix as it is stored: planes of its levels, with their step and offset."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer
from bebertlab.packed.planes import Bytes, pack_levels, packing_problem

Scales = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class PackedWeight:
    """A matrix (rows, columns): `levels * step + offset`."""

    planes: Bytes  #: (rows, planes, bytes), see `packed/planes.py`
    step: Scales  #: () or (rows, 1)
    offset: Scales | None = None  #: () or (rows, 1); None is exactly 0
    alphabet: Alphabet  #: of the levels
    columns: int

    @classmethod
    def of(cls, codes: Codes) -> Self:
        """The codes of a matrix that `codes_problem` finds nothing against."""
        return cls(
            planes=pack_levels(codes.levels, codes.alphabet),
            step=_scales(codes.step, codes.levels),
            offset=None if codes.offset is None else _scales(codes.offset, codes.levels),
            alphabet=codes.alphabet,
            columns=codes.levels.shape[1],
        )


def encode_weight(weight: Tensor, quantizer: Quantizer) -> tuple[Codes, Tensor]:
    """The codes of a weight (O, I), and the quantized values that a model multiplies with."""
    with torch.no_grad():
        return quantizer.encode(weight), quantizer(weight)


def codes_problem(codes: Codes, values: Tensor) -> str:
    """Why codes cannot be stored as planes instead of the quantized values that they stand for; empty if they can."""
    scales = [codes.step] if codes.offset is None else [codes.step, codes.offset]
    if problem := packing_problem(codes.alphabet):
        return problem
    if not all(_is_common(scale, codes.levels) for scale in scales):
        return "its levels have no common step in a row"
    if not all(scale.dtype is torch.float32 and bool(scale.isfinite().all()) for scale in scales):
        return "its step is not of finite numbers in float32"
    if bool((codes.step < 0).any()):
        return "its step is negative"
    if not codes.alphabet.contains(codes.levels):
        return "its levels are not those of its alphabet"
    if not torch.equal(codes.decode(), values):
        return "its levels do not decode to the values of the quantizer"
    return ""


def _is_common(scale: Tensor, levels: Tensor) -> bool:
    return scale.numel() == 1 or scale.shape == (len(levels), 1)


def _scales(scale: Tensor, levels: Tensor) -> Scales:
    shape = () if scale.numel() == 1 else (len(levels), 1)
    scales: Scales = scale.detach().cpu().reshape(shape).numpy().copy()
    return scales
