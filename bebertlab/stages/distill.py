"""Training after a model, with or without a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from attrs import evolve, field, frozen

from bebertlab.artifacts.baselines import teacher_metrics
from bebertlab.artifacts.model import evaluate_and_save, read_model, read_teacher, set_up_training, subnet_metrics
from bebertlab.errors import UserError
from bebertlab.interfaces.distillation import DistillationOptions, resolve_phases
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import (
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    Planning,
    QuantSpecs,
    StageOptions,
    stage_input,
)
from bebertlab.interfaces.task import Task
from bebertlab.model.slice import check_parts
from bebertlab.stages.teaching import plan_student, student_composition
from bebertlab.training.loop import need_teacher, train_phases
from bebertlab.training.options import TrainOptions


@frozen(kw_only=True)
class DistillStage(StageOptions):
    """Train a model further, under a low-bit scheme if one is named, with the losses of a distillation."""

    kind = "distill"
    revision = 6
    model: str = stage_input()  #: stage whose model is trained
    teacher: str | None = stage_input(optional=True)  #: stage whose model teaches; not needed by every distillation
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    distillation: DistillationOptions = field()  #: the phases and their losses
    train: TrainOptions = field(factory=TrainOptions)  #: how it trains

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that there is a teacher where one is needed and let go of it where none is, and that phases can run."""
        if self.scheme is not None:
            for phase in resolve_phases(self.distillation, codec):
                check_parts(phase, self.scheme.spec())
        teacher = needed_teacher(self.teacher, self.distillation, task, codec)
        return self if teacher == self.teacher else evolve(self, teacher=teacher)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The scheme's design, or that of the model."""
        return student_composition(self.scheme, inputs)

    def plan_model(
        self, inputs: Mapping[str, tuple[PlannedModel | None, ...]], planning: Planning
    ) -> PlannedModel | None:
        """The model that it trains; check that the teacher can teach it."""
        return plan_student((self.model, self.teacher), inputs, self.distillation, self.train, planning)

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the trained model."""
        source = inputs.one("model")
        teachers = inputs.many("teacher")
        phases = resolve_phases(self.distillation, context.codec)
        model = read_model(source, context, self.scheme)
        teacher = read_teacher(teachers[0], context) if teachers else None
        setup = set_up_training(context, self.train, source.folder, teacher=teacher)
        training = train_phases(model, phases, setup)
        metrics = subnet_metrics(model, phases[-1], source.folder, context)
        for one in teachers:
            metrics |= teacher_metrics(one, context)
        evaluate_and_save(model, source.folder, context, training=training, metrics=metrics)


def needed_teacher(teacher: str | None, distillation: DistillationOptions, task: Task, codec: Codec) -> str | None:
    """The teacher if a loss of the distillation reads it, else None.

    Raises:
        UserError: one is needed and none is named, or a loss makes no sense for the task.
    """
    if not need_teacher(resolve_phases(distillation, codec), task.outputs):
        return None
    if teacher is None:
        raise UserError(
            f"distillation '{distillation.kind}' needs a teacher; name the stage that teaches as `teacher`,"
            " or train on gold labels with `distillation: none`"
        )
    return teacher
