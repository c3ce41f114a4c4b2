"""Losses, and distillations as phases with losses."""

from __future__ import annotations

from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import DistillationOptions, Phase, fractions, resolve_phases
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.training.labels import LabelsOptions, NoneOptions, label_losses
from bebertlab.training.pairing import LAYERS, Layers, paired, teacher_logits

__all__ = [
    "LAYERS",
    "Batch",
    "DistillationOptions",
    "LabelsOptions",
    "Layers",
    "Loss",
    "LossOptions",
    "NoneOptions",
    "Outputs",
    "Phase",
    "Tap",
    "fractions",
    "label_losses",
    "paired",
    "resolve_phases",
    "teacher_logits",
]
