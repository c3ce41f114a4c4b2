"""The stages of most recipes: train, load, slice and split models, train and merge ensembles, pack, evaluate.

The loss `labels` and the distillation `none`, which need no teacher, are registered here as well.
"""

from __future__ import annotations

from bebertlab.api import (
    DistillationOptions,
    LabelsOptions,
    LossOptions,
    NoneOptions,
    StageGroupOptions,
    StageOptions,
    hookimpl,
)
from bebertlab_stages.evaluate import EvaluateStage
from bebertlab_stages.load import LoadStage
from bebertlab_stages.members import MembersStage, MemberStage
from bebertlab_stages.merge import MergeStage
from bebertlab_stages.pack import PackStage
from bebertlab_stages.slice import SliceStage
from bebertlab_stages.split import SplitStage
from bebertlab_stages.training import DistillStage, FinetuneStage

__all__ = [
    "DistillStage",
    "EvaluateStage",
    "FinetuneStage",
    "LoadStage",
    "MemberStage",
    "MembersStage",
    "MergeStage",
    "PackStage",
    "SliceStage",
    "SplitStage",
]


@hookimpl
def bebertlab_stages() -> list[type[StageOptions] | type[StageGroupOptions]]:
    """The stages, in the order in which recipes use them."""
    return [
        FinetuneStage,
        LoadStage,
        SliceStage,
        DistillStage,
        SplitStage,
        MembersStage,
        MemberStage,
        MergeStage,
        PackStage,
        EvaluateStage,
    ]


@hookimpl
def bebertlab_losses() -> list[type[LossOptions]]:
    """Gold labels."""
    return [LabelsOptions]


@hookimpl
def bebertlab_distillations() -> list[type[DistillationOptions]]:
    """Training without a teacher."""
    return [NoneOptions]
