"""BinaryBERT and TernaryBERT: low-bit weights and activations, weight splitting, distillation."""

from __future__ import annotations

from bebertlab.api import (
    DistillationOptions,
    ImporterOptions,
    LossOptions,
    QuantizerOptions,
    SchemeOptions,
    SplitterOptions,
    hookimpl,
)
from bebertlab_binarybert.adaptive import Adaptive
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.distillations import JointDistillation, PredictionDistillation, TwoStageDistillation
from bebertlab_binarybert.importer import BinaryBertImporter, TernaryBertImporter
from bebertlab_binarybert.laq import Laq
from bebertlab_binarybert.losses import AttentionDistanceOptions, HiddenDistanceOptions, Prediction
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.schemes import BinaryBert, TernaryBert
from bebertlab_binarybert.twn import Twn
from bebertlab_binarybert.tws import Tws
from bebertlab_binarybert.uniform import Uniform

__all__ = [
    "Adaptive",
    "AttentionDistanceOptions",
    "BinaryBert",
    "BinaryBertImporter",
    "Bwn",
    "HiddenDistanceOptions",
    "JointDistillation",
    "Laq",
    "Lsq",
    "Prediction",
    "PredictionDistillation",
    "TernaryBert",
    "TernaryBertImporter",
    "Twn",
    "TwoStageDistillation",
    "Tws",
    "Uniform",
]


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    """Quantizers of weights and of activations."""
    return [Bwn, Laq, Lsq, Twn, Uniform]


@hookimpl
def bebertlab_schemes() -> list[type[SchemeOptions]]:
    """The schemes of the two papers."""
    return [BinaryBert, TernaryBert]


@hookimpl
def bebertlab_splitters() -> list[type[SplitterOptions]]:
    """Ternary weight splitting, of every module or of those that need it most."""
    return [Adaptive, Tws]


@hookimpl
def bebertlab_losses() -> list[type[LossOptions]]:
    """Distances between student and teacher."""
    return [AttentionDistanceOptions, HiddenDistanceOptions, Prediction]


@hookimpl
def bebertlab_distillations() -> list[type[DistillationOptions]]:
    """The distillation procedures of the papers."""
    return [JointDistillation, PredictionDistillation, TwoStageDistillation]


@hookimpl
def bebertlab_importers() -> list[type[ImporterOptions]]:
    """Readers of checkpoints of the papers' code."""
    return [BinaryBertImporter, TernaryBertImporter]
