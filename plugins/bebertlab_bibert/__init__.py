"""BiBERT: a fully binary BERT, with attention without softmax and distillation of directions."""

from __future__ import annotations

from bebertlab.api import DistillationOptions, ImporterOptions, LossOptions, QuantizerOptions, SchemeOptions, hookimpl
from bebertlab_bibert.distillations import DirectionMatchingDistillation
from bebertlab_bibert.importers import BebertBibertImporter, BibertImporter
from bebertlab_bibert.losses import BibertPrediction, Direction
from bebertlab_bibert.quantizers import Bibert, Bool, Sign
from bebertlab_bibert.schemes import BebertBibertScheme, BibertScheme

__all__ = [
    "BebertBibertImporter",
    "BebertBibertScheme",
    "Bibert",
    "BibertImporter",
    "BibertPrediction",
    "BibertScheme",
    "Bool",
    "Direction",
    "DirectionMatchingDistillation",
    "Sign",
]


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    """Quantizers of weights, of activations and of attention scores."""
    return [Bibert, Bool, Sign]


@hookimpl
def bebertlab_schemes() -> list[type[SchemeOptions]]:
    """The scheme of the paper, and that of BEBERT's copy."""
    return [BebertBibertScheme, BibertScheme]


@hookimpl
def bebertlab_losses() -> list[type[LossOptions]]:
    """Distances between student and teacher."""
    return [BibertPrediction, Direction]


@hookimpl
def bebertlab_distillations() -> list[type[DistillationOptions]]:
    """The procedure of the paper."""
    return [DirectionMatchingDistillation]


@hookimpl
def bebertlab_importers() -> list[type[ImporterOptions]]:
    """Readers of the published code's checkpoints."""
    return [BebertBibertImporter, BibertImporter]
