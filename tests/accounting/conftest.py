"""The models of the tests of `model`."""

from __future__ import annotations

from tests.model.conftest import checkpoint, codec, everywhere, quantized, rounding, sizes, split

__all__ = ["checkpoint", "codec", "everywhere", "quantized", "rounding", "sizes", "split"]
