"""The models of the tests of `model`."""

from __future__ import annotations

from tests.model.conftest import checkpoint, everywhere, quantized, rounding, sizes, split

__all__ = ["checkpoint", "everywhere", "quantized", "rounding", "sizes", "split"]
