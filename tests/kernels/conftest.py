"""Generated code of each instruction set that this machine has, compiled once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from bebertlab.errors import SetupError
from bebertlab.kernels.compiler import KernelFamily, Kernels, compile_kernels, emit_kernels
from bebertlab.kernels.rows import RowKernels
from bebertlab.kernels.target import InstructionSet, KernelTarget, kernel_target

KernelsOf = Callable[[KernelFamily], Kernels]


class Levels(NamedTuple):
    """Levels `low + spacing * index` with indices of some bits."""

    low: int
    spacing: int
    bits: int

    def random(self, rng: np.random.Generator, *shape: int) -> NDArray[np.int64]:
        return self.low + self.spacing * rng.integers(0, 2**self.bits, shape)


@pytest.fixture(scope="session", params=["native", "avx2"])
def target(request: pytest.FixtureRequest) -> KernelTarget:
    """A CPU to generate code for; skipped where llvmlite is missing or the machine cannot run it."""
    pytest.importorskip("llvmlite")
    instructions: InstructionSet = request.param
    try:
        return kernel_target(instructions)
    except SetupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kernels_of(target: KernelTarget) -> KernelsOf:
    @cache
    def compiled(family: KernelFamily) -> Kernels:
        return compile_kernels(emit_kernels(family, target), target)

    return compiled


@pytest.fixture(scope="session")
def products(kernels_of: KernelsOf) -> Kernels:
    return kernels_of("products")


@pytest.fixture(scope="session")
def encoders(kernels_of: KernelsOf) -> Kernels:
    return kernels_of("encoder")


@pytest.fixture(scope="session")
def rows(kernels_of: KernelsOf) -> RowKernels:
    """For matrices of at most 64 columns."""
    return RowKernels(64, kernels_of("rows"))
