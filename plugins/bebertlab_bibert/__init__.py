"""BiBERT: a fully binary BERT, with attention without softmax and distillation of directions."""

from __future__ import annotations

from bebertlab.api import QuantizerOptions, hookimpl
from bebertlab_bibert.bibert import Bibert
from bebertlab_bibert.boolean import Bool
from bebertlab_bibert.sign import Sign

__all__ = ["Bibert", "Bool", "Sign"]


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    """Quantizers of weights, of activations and of attention scores."""
    return [Bibert, Bool, Sign]
