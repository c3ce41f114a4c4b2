"""What second branches of the modules of a binary model cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bebertlab.api import (
    Checkpoint,
    QuantSpec,
    branch_counts,
    branch_prefix,
    model_operations,
    quantizable_modules,
    usual_tokens,
)

#: of matrices (2^20 bytes), or of a forward pass (10^9 operations)
Unit = Literal["mebibytes", "gigaflops"]
UNITS: tuple[Unit, ...] = ("mebibytes", "gigaflops")
SIZES: Mapping[Unit, float] = {"mebibytes": 8 * 2**20, "gigaflops": 1e9}  #: in bits, in operations

_FULL = 32


class Costs:
    """Bits and operations of a model of single branches under a design, and of a second branch at every module.

    In bits and operations, not in the larger units: those are whole numbers or nearly so, whose sums are exact.
    """

    def __init__(self, source: Checkpoint, spec: QuantSpec) -> None:
        """Of the matrices in `source`, each of one branch, under a design of the same sites."""
        self._sizes, self._design = source.architecture, spec.with_branches({})
        counts = branch_counts(source.architecture, source.spec)
        self._bits = {}
        for path, site in quantizable_modules(self._sizes).items():
            weight = source.tensors[f"{branch_prefix(path, 0, counts[path])}weight"]
            quantizer = spec.weights.get(site)
            self._bits[path] = weight.numel() * (_FULL if quantizer is None else quantizer.build(weight.shape).bits)
        self._operations = self._count({})

    def single(self, unit: Unit) -> float:
        """Of the model of single branches."""
        return sum(self._bits.values()) if unit == "mebibytes" else self._operations

    def second(self, path: str, unit: Unit) -> float:
        """Of a second branch at a module, in addition."""
        return self._bits[path] if unit == "mebibytes" else self._count({path: 2}) - self._operations

    def _count(self, branches: Mapping[str, int]) -> float:
        spec = self._design.with_branches(branches)
        return model_operations(self._sizes, spec, usual_tokens(self._sizes)).total
