"""The core's own stages, with the one loss and the one distillation that they cannot do without."""

from __future__ import annotations

from bebertlab.interfaces.distillation import DistillationOptions
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.stages.distill import DistillStage
from bebertlab.stages.evaluate import EvaluateStage
from bebertlab.stages.finetune import FinetuneStage
from bebertlab.stages.labels import LabelsOptions
from bebertlab.stages.load import LoadStage
from bebertlab.stages.member import MemberStage
from bebertlab.stages.members import MembersStage
from bebertlab.stages.merge import MergeStage
from bebertlab.stages.none import NoneOptions
from bebertlab.stages.slice import SliceStage
from bebertlab.stages.split import SplitStage


@hookimpl
def bebertlab_stages() -> list[type[StageOptions] | type[StageGroupOptions]]:
    """The stages of every recipe."""
    return [
        FinetuneStage,
        LoadStage,
        SliceStage,
        DistillStage,
        SplitStage,
        MembersStage,
        MemberStage,
        MergeStage,
        EvaluateStage,
    ]


@hookimpl
def bebertlab_losses() -> list[type[LossOptions]]:
    """What needs no teacher."""
    return [LabelsOptions]


@hookimpl
def bebertlab_distillations() -> list[type[DistillationOptions]]:
    """What needs no teacher."""
    return [NoneOptions]
