"""Which product computes a linear map: generated code with packed weights, or int8 by torch; what is faster here."""

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
from bebertlab.packed.tile_weight import tile_weight_problem, tile_weights
from bebertlab.packed.weight import PackedWeight

#: of an encoder: "signs", all layers in one call of generated code; "rows", products of linear maps with generated code
#: between them; "modules", one module after the other.
#: of a linear map: "planes", generated code that counts bits; "tiles", generated code for AMX; "int8" of oneDNN;
#: "levels", sums of integers that float32 or float64 holds exactly; "floats", no sums of integers; "unpacked", one of
#: the last three, unpacked for each product
Product = Literal["signs", "rows", "modules", "planes", "tiles", "int8", "levels", "floats", "unpacked"]

#: that multiply with weights as bits
PACKED_PRODUCTS: frozenset[Product] = frozenset({"planes", "tiles"})
#: how many times as long a product with packed weights may take as one with unpacked weights, which take several times
#: as much memory
MOST_SLOWDOWN = 1.1

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
        return _unpacked(linear, unpack=unpack, reason=problem)
    if not unpack and not _has_tiles(parts):
        return PlanesLinear(parts), Choice("planes", "weights stay packed")  # there is nothing to compare with
    timings = _timings(parts)
    packed = min((name for name in timings if name in PACKED_PRODUCTS), key=timings.__getitem__)
    reason = ", ".join(f"{name} {1e3 * seconds:.3g} ms" for name, seconds in timings.items())
    reason = f"{reason} for {TIMED_TOKENS} tokens"
    if unpack and min(timings.values()) * MOST_SLOWDOWN < timings[packed]:
        return _unpacked(linear, unpack=True, reason=reason)
    return _packed_module(packed, parts), Choice(packed, reason)


def _packed_module(product: Product, parts: Sequence[LinearPart]) -> nn.Module:
    if product == "planes":
        return PlanesLinear(parts)
    quantizers = [part.quantizer for part in parts if part.quantizer is not None]
    return IntegerLinear(tile_weights(parts), [part.bias for part in parts], quantizers)


def _unpacked(linear: PackedLinear, *, unpack: bool, reason: str) -> tuple[nn.Module, Choice]:
    if not unpack:
        return linear, Choice("unpacked", reason)
    module = linear.unpack()
    return module, Choice(_product_of(module), reason)


def _product_of(module: nn.Module) -> Product:
    if not isinstance(module, IntegerLinear):
        return "floats"
    return "int8" if isinstance(module.weights[0], Int8Weight) else "levels"


def _has_tiles(parts: Sequence[LinearPart]) -> bool:
    return not any(
        tile_weight_problem(part.matrix, part.quantizer.alphabet)
        for part in parts
        if isinstance(part.matrix, PackedMatrix) and part.quantizer is not None
    )


def _timings(parts: Sequence[LinearPart]) -> dict[Product, float]:
    matrix, quantizer = parts[0].matrix, parts[0].quantizer
    if not isinstance(matrix, PackedMatrix) or quantizer is None:
        raise AssertionError("planes are of packed matrices and quantized inputs")
    rows = len(matrix.planes)
    return _measured(rows, matrix.columns, matrix.alphabet, quantizer.alphabet, torch.get_num_threads())


@cache
def _measured(rows: int, columns: int, weights: Alphabet, inputs: Alphabet, threads: int) -> dict[Product, float]:
    """The seconds of a product of `TIMED_TOKENS` tokens with a matrix of random levels, with that many threads."""
    generator = torch.Generator().manual_seed(0)
    codes = Codes(levels=_random_levels((rows, columns), weights, generator), step=torch.ones(()), alphabet=weights)
    quantizer = _FixedLevels(_random_levels((TIMED_TOKENS, columns), inputs, generator), inputs)
    bias = torch.zeros(rows)
    matrix = PackedMatrix(PackedWeight.of(codes))
    parts = [LinearPart(matrix=matrix, bias=bias, quantizer=quantizer)]
    modules: dict[Product, nn.Module] = {"planes": _packed_module("planes", parts)}
    if not tile_weight_problem(matrix, inputs):
        modules["tiles"] = _packed_module("tiles", parts)
    other = fixed_linear([FixedBranch(weight=codes, bias=bias, quantizer=quantizer)])
    modules[_product_of(other)] = other
    x = torch.empty(1, TIMED_TOKENS, columns)
    return dict(zip(modules, fastest([*modules.values()], x, _SECONDS), strict=True))


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
