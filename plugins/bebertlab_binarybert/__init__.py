"""BinaryBERT and TernaryBERT: binary and ternary weights, quantized activations, weight splitting, distillation."""

from __future__ import annotations

from bebertlab.api import QuantizerOptions, hookimpl
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.twn import Twn
from bebertlab_binarybert.uniform import Uniform

__all__ = ["Bwn", "Lsq", "Twn", "Uniform"]


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    """Quantizers of weights and of activations."""
    return [Bwn, Lsq, Twn, Uniform]
