"""BiT: elastic binarization of BERT, and distillation in a chain of steps."""

from __future__ import annotations

from bebertlab.api import DistillationOptions, ImporterOptions, QuantizerOptions, SchemeOptions, hookimpl
from bebertlab_bit.distillation import BitDistillation
from bebertlab_bit.importer import BitImporter
from bebertlab_bit.quantizers import CentredSign, Elastic
from bebertlab_bit.scheme import Bit

__all__ = ["Bit", "BitDistillation", "BitImporter", "CentredSign", "Elastic"]


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    """Quantizers of weights and of activations."""
    return [CentredSign, Elastic]


@hookimpl
def bebertlab_schemes() -> list[type[SchemeOptions]]:
    """The scheme of the paper."""
    return [Bit]


@hookimpl
def bebertlab_distillations() -> list[type[DistillationOptions]]:
    """The distillation procedure of the paper."""
    return [BitDistillation]


@hookimpl
def bebertlab_importers() -> list[type[ImporterOptions]]:
    """The reader of the published code's checkpoints."""
    return [BitImporter]
