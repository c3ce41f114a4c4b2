"""What stages that train a model further plan alike: its design, and whether the teacher can teach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bebertlab.errors import UserError
from bebertlab.interfaces.distillation import DistillationOptions, Phase, resolve_phases
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Composition, PlannedModel, Planning, QuantSpecs
from bebertlab.interfaces.task import Task
from bebertlab.training.objective import PhaseLoss, rehearse
from bebertlab.training.options import TrainOptions


def student_composition(scheme: SchemeOptions | None, inputs: QuantSpecs) -> Composition:
    """The design of a scheme, or that of the stage's `model` where there is none."""
    return Composition(spec=scheme.spec() if scheme else inputs["model"][0])


def plan_student(
    names: tuple[str, str | None],
    inputs: Mapping[str, tuple[PlannedModel | None, ...]],
    distillation: DistillationOptions,
    options: TrainOptions,
    planning: Planning,
) -> PlannedModel | None:
    """The model of a stage with the inputs `model` and `teacher`, whose names are given; None where it is not known.

    Raises:
        UserError: the teacher cannot teach it; names both stages.
    """
    model_name, teacher_name = names
    (model,) = inputs["model"]
    if teacher_name is not None:
        phases = resolve_phases(distillation, planning.codec)
        check_teacher((model_name, model), (teacher_name, inputs["teacher"][0]), phases, options, planning.task)
    return model


def check_teacher(
    student: tuple[str, PlannedModel | None],
    teacher: tuple[str, PlannedModel | None],
    phases: Sequence[Phase],
    options: TrainOptions,
    task: Task,
) -> None:
    """Check that a teacher makes the same tokens as its student, and can be compared with it, where that is asked.

    Student and teacher are the name of a stage and its model. A teacher of which only the logits are read may have any
    tokenizer, length and size. What is not known of a model is checked when the stage runs.

    Raises:
        UserError: it cannot teach; names both stages.
    """
    (student_name, learns), (teacher_name, teaches) = student, teacher
    if learns is None or teaches is None:
        return
    reason = _shared_tokens(phases, options, task)
    if reason is None:
        return
    both = f"teacher '{teacher_name}' and model '{student_name}'"
    if different := teaches.tokenizer.different_parts(learns.tokenizer):
        raise UserError(
            f"{both} make other tokens of a text: {teaches.tokenizer.name} and {learns.tokenizer.name} differ in"
            f" {', '.join(different)}, and {reason}; take a teacher with the same tokenizer, or losses that read only"
            " its logits, without train.teacher_dropout"
        )
    if teaches.architecture is None:
        return
    positions = teaches.architecture.positions
    if learns.maximum_tokens > positions:
        raise UserError(
            f"model '{student_name}' reads up to {learns.maximum_tokens} tokens, teacher '{teacher_name}' has"
            f" {positions} positions, and {reason}; let '{student_name}' start from an encoder or a load with"
            f" maximum_tokens of {positions} or less"
        )
    if learns.architecture is not None:
        try:
            rehearse(phases, learns.architecture, teaches.architecture, task.outputs)
        except UserError as error:
            raise UserError(f"{both} cannot be compared: {error}") from error


def _shared_tokens(phases: Sequence[Phase], options: TrainOptions, task: Task) -> str | None:
    """Why the teacher reads the student's own tokens; None where it does not."""
    if options.teacher_dropout:
        return "with train.teacher_dropout the teacher runs on the student's own batches"
    for phase in phases:
        if taps := PhaseLoss(phase.losses, task.outputs).teacher_taps:
            return f"phase '{phase.name}' compares inner layers ({', '.join(sorted(taps))}) token by token"
    return None
