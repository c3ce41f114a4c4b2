"""DynaBERT: models whose width and depth can be reduced to any fraction after training."""

from __future__ import annotations

from bebertlab.api import DistillationOptions, StageGroupOptions, StageOptions, hookimpl
from bebertlab_dynabert.distillations import DepthDistillation, LabelsDistillation, WidthDistillation
from bebertlab_dynabert.reorder import ReorderStage
from bebertlab_dynabert.rewiring import Importance, NeuronOrder, descending, measure_importance, reordered

__all__ = [
    "DepthDistillation",
    "Importance",
    "LabelsDistillation",
    "NeuronOrder",
    "ReorderStage",
    "WidthDistillation",
    "descending",
    "measure_importance",
    "reordered",
]


@hookimpl
def bebertlab_stages() -> list[type[StageOptions] | type[StageGroupOptions]]:
    """The stage between a teacher and its sub-networks."""
    return [ReorderStage]


@hookimpl
def bebertlab_distillations() -> list[type[DistillationOptions]]:
    """The training stages of the paper."""
    return [DepthDistillation, LabelsDistillation, WidthDistillation]
