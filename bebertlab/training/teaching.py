"""Planning the training of a student: the spec of its model, the teacher that it needs, and whether they fit."""

from __future__ import annotations

from collections.abc import Sequence

from bebertlab.errors import UserError
from bebertlab.interfaces.distillation import DistillationOptions, Phase, resolve_phases
from bebertlab.interfaces.ensemble import SampleWeights
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Codec, Composition, PlannedModel, PlannedModels, Planning, QuantSpecs
from bebertlab.interfaces.task import Task
from bebertlab.model.slice import check_parts
from bebertlab.training.loop import need_teacher
from bebertlab.training.objective import PhaseLoss, rehearse
from bebertlab.training.options import TrainOptions


def prepare_student(
    distillation: DistillationOptions,
    task: Task,
    codec: Codec,
    *,
    teacher: str | None,
    scheme: SchemeOptions | None = None,
    sample_weights: SampleWeights | None = None,
) -> str | None:
    """Check that the phases of a distillation can run, and return the teacher that they need.

    For `StageOptions.prepare` of a stage that trains a model. `teacher` is the name of the stage that teaches; it is
    returned if a loss reads it, otherwise None, so that a stage does not depend on a teacher that it does not use.

    Raises:
        UserError: a loss needs a teacher and none is named, does not suit the task, or cannot weight examples as the
            sample weights require; or a phase trains sub-networks of a quantized model.
    """
    phases = resolve_phases(distillation, codec)
    for phase in phases:
        if sample_weights is not None:
            PhaseLoss(phase.losses, task.outputs).check_sample_weights(sample_weights)
        if scheme is not None:
            check_parts(phase, scheme.spec())
    if not need_teacher(phases, task.outputs):
        return None
    if teacher is None:
        raise UserError(
            f"distillation '{distillation.kind}' needs a teacher; name the stage that teaches as `teacher`,"
            " or train on gold labels with `distillation: none`"
        )
    return teacher


def student_composition(scheme: SchemeOptions | None, inputs: QuantSpecs) -> Composition:
    """The composition of a trained model: the spec of the scheme, or that of the input `model` without a scheme."""
    return Composition(spec=scheme.spec() if scheme else inputs["model"][0])


def plan_student(
    inputs: PlannedModels,
    planning: Planning,
    *,
    model: str,
    teacher: str | None,
    distillation: DistillationOptions,
    train: TrainOptions,
) -> PlannedModel | None:
    """The planned model of a stage that trains its input `model`, perhaps with the input `teacher`.

    For `StageOptions.plan_model`; `model` and `teacher` are the names of those stages. None if nothing is known of
    the model.

    Raises:
        UserError: the teacher cannot teach the model; the message names both stages.
    """
    (student,) = inputs["model"]
    if teacher is not None:
        phases = resolve_phases(distillation, planning.codec)
        check_teacher((model, student), (teacher, inputs["teacher"][0]), phases, train, planning.task)
    return student


def check_teacher(
    student: tuple[str, PlannedModel | None],
    teacher: tuple[str, PlannedModel | None],
    phases: Sequence[Phase],
    options: TrainOptions,
    task: Task,
) -> None:
    """Check that a teacher makes the same tokens as its student, and can be compared with it, where phases need that.

    Student and teacher are each the name of a stage and its model. A teacher of which only the logits are read may
    have any tokenizer, length and size. Unknown properties of a model are checked when the stage runs.

    Raises:
        UserError: the teacher cannot teach the student; the message names both stages.
    """
    (student_name, student_model), (teacher_name, teacher_model) = student, teacher
    if student_model is None or teacher_model is None:
        return
    reason = _reason_for_shared_tokens(phases, options, task)
    if reason is None:
        return
    both = f"teacher '{teacher_name}' and model '{student_name}'"
    if different := teacher_model.tokenizer.different_parts(student_model.tokenizer):
        raise UserError(
            f"{both} make other tokens of a text: {teacher_model.tokenizer.name} and {student_model.tokenizer.name}"
            f" differ in {', '.join(different)}, and {reason}; take a teacher with the same tokenizer, or losses that"
            " read only its logits, without train.teacher_dropout"
        )
    if teacher_model.architecture is None:
        return
    positions = teacher_model.architecture.positions
    if student_model.maximum_tokens > positions:
        raise UserError(
            f"model '{student_name}' reads up to {student_model.maximum_tokens} tokens, teacher '{teacher_name}' has"
            f" {positions} positions, and {reason}; let '{student_name}' start from an encoder or a load with"
            f" maximum_tokens of {positions} or less"
        )
    if student_model.architecture is not None:
        try:
            rehearse(phases, student_model.architecture, teacher_model.architecture, task.outputs)
        except UserError as error:
            raise UserError(f"{both} cannot be compared: {error}") from error


def _reason_for_shared_tokens(phases: Sequence[Phase], options: TrainOptions, task: Task) -> str | None:
    """Why the teacher reads the student's own tokens; None if it does not."""
    if options.teacher_dropout:
        return "with train.teacher_dropout the teacher runs on the student's own batches"
    for phase in phases:
        if taps := PhaseLoss(phase.losses, task.outputs).teacher_taps:
            return f"phase '{phase.name}' compares inner layers ({', '.join(sorted(taps))}) token by token"
    return None
