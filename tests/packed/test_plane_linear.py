from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.inference.modules import fixed_linear
from bebertlab.interfaces.quantizer import SIGNS, TERNARY, Alphabet, Codes, Quantizer
from bebertlab.packed.modules import FloatMatrix, LinearPart, PackedMatrix
from bebertlab.packed.plane_linear import PlanesLinear, plane_problem
from bebertlab.packed.weight import PackedWeight
from bebertlab_bibert import Sign
from bebertlab_binarybert.uniform import Uniform
from bebertlab_bit import Elastic

COLUMNS, ROWS = 70, 37
X = torch.randn(3, 11, COLUMNS, generator=torch.Generator().manual_seed(0))
X[0, 0] = 0.0
X[:, ::2, ::3] = -0.0
Quantize = Callable[[], Quantizer]


class Scaled(Quantizer):
    """Levels with any alphabet, a step and an offset for each token, in the dtype int16."""

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self.alphabet = alphabet

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).decode()

    def encode(self, x: Tensor) -> Codes:
        step = x.abs().amax(-1, keepdim=True) / 3 + 0.125
        steps = (x / step).round().clamp(0, self.alphabet.size - 1)
        levels = self.alphabet.low + self.alphabet.spacing * steps
        return Codes(levels=levels.to(torch.int16), step=step, offset=step / 7, alphabet=self.alphabet)


def part(quantizer: Quantizer | None, weights: Alphabet = SIGNS, seed: int = 0, *, rows: bool = True) -> LinearPart:
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(0, weights.size, (ROWS, COLUMNS), generator=generator)
    step = torch.rand((ROWS, 1) if rows else (), generator=generator)
    codes = Codes(levels=weights.low + weights.spacing * indices, step=step, alphabet=weights)
    bias = torch.randn(ROWS, generator=generator)
    return LinearPart(matrix=PackedMatrix(PackedWeight.of(codes)), bias=bias, quantizer=quantizer)


INPUTS: dict[str, Quantize] = {
    "signs": lambda: Sign().build(X.shape[-1:]),
    "elastic": lambda: Elastic(bits=1, signed=False).build(X.shape[-1:]),
    "four bits": lambda: Uniform(bits=4, symmetric=False).build(X.shape[-1:]),
    "eight bits": lambda: Uniform(bits=8).build(X.shape[-1:]),
    "by token": lambda: Scaled(Alphabet(-4, 10, spacing=2)),
}


@pytest.mark.parametrize("weights", [SIGNS, TERNARY, Alphabet(-3, 6, spacing=3), Alphabet.symmetric(5)])
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("rows", [True, False])
def test_planes_give_what_levels_give(inputs: str, weights: Alphabet, rows: bool) -> None:
    pytest.importorskip("llvmlite")
    quantizer = INPUTS[inputs]().eval()
    parts = [part(quantizer, weights, rows=rows)]
    _check(parts)


@pytest.mark.parametrize("inputs", INPUTS)
def test_branches_are_summed_in_order(inputs: str) -> None:
    pytest.importorskip("llvmlite")
    _check([part(INPUTS[inputs]().eval(), TERNARY, seed) for seed in range(3)])


def _check(parts: Sequence[LinearPart]) -> None:
    assert not plane_problem(parts, exact=True)
    planes, levels = PlanesLinear(parts), fixed_linear([summand.unpack(exact=True) for summand in parts])
    with torch.no_grad():
        for first_token in (False, True):
            result = planes(X, first_token)
            assert result.isfinite().all()
            assert torch.equal(result, levels(X, first_token))


def _with_offset() -> LinearPart:
    plain = part(INPUTS["signs"]())
    codes = plain.matrix.codes() if isinstance(plain.matrix, PackedMatrix) else None
    assert codes is not None
    return evolve(plain, matrix=PackedMatrix(PackedWeight.of(evolve(codes, offset=torch.tensor(0.5)))))


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: part(None), "inputs are not quantized"),
        (lambda: evolve(part(INPUTS["signs"]()), matrix=FloatMatrix(torch.ones(2, 2))), "weights are not packed"),
        (_with_offset, "weights have an offset"),
        (lambda: part(Uniform(bits=9).build(X.shape[-1:])), "more than a byte"),
        (lambda: part(Scaled(Alphabet(-300, -200))), "more than a byte"),
        (lambda: part(Scaled(Alphabet(0, 15, spacing=3))), "no power of 2"),
        (lambda: part(INPUTS["eight bits"](), Alphabet(2**24 - 9, 2**24)), "more than 32 bits"),
        (lambda: evolve(part(INPUTS["signs"]()), matrix=part(None).matrix.to("meta")), "not in main memory"),
    ],
)
def test_what_planes_cannot_compute_is_named(build: Callable[[], LinearPart], problem: str) -> None:
    assert problem in plane_problem([part(INPUTS["signs"]()), build()], exact=True)


def test_models_without_quantized_activations_have_no_planes() -> None:
    assert plane_problem([part(INPUTS["signs"]())], exact=False) == "no activations are quantized"


def test_weights_stay_packed() -> None:
    pytest.importorskip("llvmlite")
    linear = PlanesLinear([part(INPUTS["signs"]().eval())])
    (product,) = linear._products
    assert product.weights.words.nbytes == np.prod((40, 128 // 8))  # padded to tiles of rows and words of columns
    assert not [*linear.parameters(), *linear.buffers()]
