"""Stages that train a model: the encoder on gold labels, and a model further, with or without a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from attrs import evolve, field, frozen

from bebertlab.api import (
    Codec,
    Composition,
    Context,
    DistillationOptions,
    Inputs,
    NoneOptions,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpec,
    QuantSpecs,
    SchemeOptions,
    StageOptions,
    Task,
    TrainOptions,
    evaluate_and_save,
    plan_student,
    prepare_student,
    read_encoder,
    read_model,
    read_teacher,
    resolve_phases,
    set_up_training,
    stage_input,
    student_composition,
    subnet_metrics,
    teacher_metrics,
    train_phases,
)


@frozen(kw_only=True)
class FinetuneStage(StageOptions):
    """Train the recipe's encoder in full precision on the gold labels of its task."""

    kind = "finetune"
    revision = 7
    train: TrainOptions = field(factory=TrainOptions)  #: how it trains

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """A full-precision model, trained without a teacher."""
        return Composition(spec=QuantSpec(), parts=(NoneOptions(),))

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The encoder; checks that it can read the task."""
        return planning.encoder()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the tokenizer and the trained model."""
        model = read_encoder(context)
        setup = set_up_training(context, self.train, context.folder)
        training = train_phases(model, NoneOptions().phases(), setup)
        evaluate_and_save(model, context.folder, context, training=training)


@frozen(kw_only=True)
class DistillStage(StageOptions):
    """Train a model further, under a low-bit scheme if one is named, with the losses of a distillation."""

    kind = "distill"
    revision = 8
    model: str = stage_input()  #: stage whose model is trained
    teacher: str | None = stage_input(optional=True)  #: stage whose model teaches; not needed by every distillation
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    distillation: DistillationOptions = field()  #: the phases and their losses
    train: TrainOptions = field(factory=TrainOptions)  #: training options

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that the phases can run, and remove a teacher that no loss reads."""
        teacher = prepare_student(self.distillation, task, codec, teacher=self.teacher, scheme=self.scheme)
        return evolve(self, teacher=teacher)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The spec of the scheme, or that of the model."""
        return student_composition(self.scheme, inputs)

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The model that it trains; checks that the teacher can teach it."""
        return plan_student(
            inputs,
            planning,
            model=self.model,
            teacher=self.teacher,
            distillation=self.distillation,
            train=self.train,
        )

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the trained model."""
        source, teaching = inputs.one("model"), inputs.optional("teacher")
        phases = resolve_phases(self.distillation, context.codec)
        model, teacher = read_model(source, context, self.scheme), read_teacher(teaching, context)
        training = train_phases(model, phases, set_up_training(context, self.train, source.folder, teacher=teacher))
        metrics = {**subnet_metrics(model, phases[-1], source.folder, context), **teacher_metrics(teaching, context)}
        evaluate_and_save(model, source.folder, context, training=training, metrics=metrics)
