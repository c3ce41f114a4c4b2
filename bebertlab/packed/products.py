"""Which product computes a linear map: bit planes by generated code, or int8 by torch, whichever is faster here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import Literal

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.inference.integers import Int8Weight
from bebertlab.inference.modules import FixedBranch, IntegerLinear, fixed_linear
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer
from bebertlab.model.primitives import integer_dtype
from bebertlab.packed.modules import LinearPart, PackedLinear, PackedMatrix
from bebertlab.packed.plane_linear import PlanesLinear, plane_problem
from bebertlab.packed.weight import PackedWeight

#: of an encoder: "signs", all layers in one call of generated code; "rows", torch's products with generated code
#: between them; "modules", one module after the other.
#: of a linear map: "planes", generated code that counts bits; "int8" of oneDNN; "levels", sums of integers that float32
#: or float64 holds exactly; "floats", no sums of integers; "unpacked", one of these three, unpacked for each product
Product = Literal["signs", "rows", "modules", "planes", "int8", "levels", "floats", "unpacked"]

WITHOUT_KERNELS = "generated code is not used"

#: tokens that products are timed with
TIMED_TOKENS = 128
_SECONDS = 0.02  #: that a comparison takes, besides packing two matrices
_FEWEST_RUNS = 3


@frozen
class Choice:
    """How a linear map is computed, and why."""

    product: Product
    reason: str


def choose_product(linear: PackedLinear, *, unpack: bool, kernels: bool) -> tuple[nn.Module, Choice]:
    """A linear map by the product that is faster on this machine; all give the same bits.

    Args:
        linear: on the device where it computes.
        unpack: whether matrices may be unpacked once, which takes memory.
        kernels: whether generated code may be used.
    """
    parts = linear.parts()
    problem = plane_problem(parts, exact=linear.exact) if kernels else WITHOUT_KERNELS
    if problem:
        return _without_planes(linear, unpack=unpack, reason=problem)
    if not unpack:
        return PlanesLinear(parts), Choice("planes", "weights stay packed")
    timing = _timing(parts)
    reason = (
        f"planes {1e3 * timing.planes:.3g} ms, {timing.rival} {1e3 * timing.other:.3g} ms for {TIMED_TOKENS} tokens"
    )
    if timing.planes < timing.other:
        return PlanesLinear(parts), Choice("planes", reason)
    return _without_planes(linear, unpack=True, reason=reason)


def _without_planes(linear: PackedLinear, *, unpack: bool, reason: str) -> tuple[nn.Module, Choice]:
    if not unpack:
        return linear, Choice("unpacked", reason)
    module = linear.unpack()
    return module, Choice(_product_of(module), reason)


def _product_of(module: nn.Module) -> Product:
    if not isinstance(module, IntegerLinear):
        return "floats"
    return "int8" if isinstance(module.weights[0], Int8Weight) else "levels"


@frozen
class _Timing:
    """Seconds of a product of `TIMED_TOKENS` tokens."""

    planes: float
    other: float
    rival: Product


def _timing(parts: Sequence[LinearPart]) -> _Timing:
    matrix, quantizer = parts[0].matrix, parts[0].quantizer
    if not isinstance(matrix, PackedMatrix) or quantizer is None:
        raise AssertionError("planes are of packed matrices and quantized inputs")
    rows = len(matrix.planes)
    return _measured(rows, matrix.columns, matrix.alphabet, quantizer.alphabet, torch.get_num_threads())


@cache
def _measured(rows: int, columns: int, weights: Alphabet, inputs: Alphabet, threads: int) -> _Timing:
    """The seconds of a matrix of random levels, by planes and by what torch would do with that many threads."""
    generator = torch.Generator().manual_seed(0)
    codes = Codes(levels=_random_levels((rows, columns), weights, generator), step=torch.ones(()), alphabet=weights)
    quantizer = _FixedLevels(_random_levels((TIMED_TOKENS, columns), inputs, generator), inputs)
    bias = torch.zeros(rows)
    planes = PlanesLinear([LinearPart(matrix=PackedMatrix(PackedWeight.of(codes)), bias=bias, quantizer=quantizer)])
    other = fixed_linear([FixedBranch(weight=codes, bias=bias, quantizer=quantizer)])
    x = torch.empty(1, TIMED_TOKENS, columns)
    first, second = fastest([planes, other], x, _SECONDS)
    return _Timing(planes=first, other=second, rival=_product_of(other))


def fastest(modules: Sequence[nn.Module], x: Tensor, seconds: float) -> list[float]:
    """The least seconds of a call of each module, called in turn for about `seconds`, but at least three times."""
    best = [float("inf")] * len(modules)
    end, runs = time.perf_counter() + seconds, 0
    with torch.no_grad():
        while runs < _FEWEST_RUNS or time.perf_counter() < end:
            for index, module in enumerate(modules):
                start = time.perf_counter()
                module(x)
                best[index] = min(best[index], time.perf_counter() - start)
            runs += 1
    return best


def _random_levels(shape: tuple[int, int], alphabet: Alphabet, generator: torch.Generator) -> Tensor:
    indices = torch.randint(0, alphabet.size, shape, generator=generator)
    return (alphabet.low + alphabet.spacing * indices).to(integer_dtype(alphabet.low, alphabet.high))


class _FixedLevels(Quantizer):
    """Gives the same levels whatever it is called with, so that only products are timed."""

    def __init__(self, levels: Tensor, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet = alphabet
        self._codes = Codes(levels=levels[None], step=torch.ones(()), alphabet=alphabet)

    def forward(self, x: Tensor) -> Tensor:
        """The values of the levels."""
        return self._codes.decode()

    def encode(self, x: Tensor) -> Codes:
        """The levels."""
        return self._codes
