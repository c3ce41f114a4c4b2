"""What all phases of a training share."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from bebertlab.data.examples import Examples
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import SampleWeights
from bebertlab.interfaces.task import Task
from bebertlab.training.options import TrainOptions
from bebertlab.training.sampler import EpochSampler
from bebertlab.training.teacher import Teacher


def _silent(fraction: float, text: str) -> None:
    """No one to tell."""


@frozen(kw_only=True, eq=False)
class TeacherView:
    """The data of a training as the teacher's own tokenizer reads them, up to the teacher's own longest input."""

    train: Examples
    select: Examples
    #: in what that tokenizer differs from the student's; empty: it makes the same tokens
    different: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False)
class TrainingSetup:
    """One training of one model."""

    stage: str  #: for messages
    task: Task
    train: Examples
    select: Examples
    options: TrainOptions
    seed: int
    teacher: Teacher | None = None
    teacher_view: TeacherView = field()  #: what a teacher reads of which only the logits are asked; else the same
    round: SampleWeights | None = None  #: what an ensemble has this member train on; None: every example once an epoch
    keep_last: bool = False  #: the last state of the last phase is wanted too, not only the best
    device: str = "cpu"
    progress: Callable[[float, str], None] = _silent  #: told the part done (0 to 1) and a few words
    span: tuple[float, float] = (0.0, 1.0)  #: part of the training that a phase is, from where to where
    sampler: EpochSampler = field()  #: what an epoch holds; as the round says, unless told

    @teacher_view.default
    def _teacher_view(self) -> TeacherView:
        return TeacherView(train=self.train, select=self.select)

    @sampler.default
    def _sampler(self) -> EpochSampler:
        return EpochSampler(seed=self.seed, lengths=self.train.tokens.lengths, round=self.round)


def check_shared_tokens(setup: TrainingSetup, phase: str) -> None:
    """Check that the teacher can read the student's own batches, where it is asked step by step.

    Raises:
        UserError: its tokenizer makes other tokens, or the texts have more than it has positions or segments for.
    """
    if setup.teacher is None:
        return
    sizes, view = setup.teacher.architecture, setup.teacher_view
    if view.different:
        raise UserError(
            f"{setup.stage}: {phase} asks the teacher about the student's own tokens, and the teacher's tokenizer"
            f" ({setup.teacher.tokenizer}) differs in its {', '.join(view.different)}; take a teacher with the same"
            " tokenizer, or losses that read only its logits"
        )
    longest = max(int(examples.tokens.lengths.max()) for examples in (setup.train, setup.select))
    if longest > sizes.positions:
        raise UserError(
            f"{setup.stage}: {phase} asks the teacher about texts of up to {longest} tokens, and it has"
            f" {sizes.positions} positions; let the student start from an encoder or a load with maximum_tokens of"
            f" {sizes.positions} or less"
        )
    segments = max(int(examples.tokens.segments.max()) for examples in (setup.train, setup.select)) + 1
    if segments > sizes.segments:
        raise UserError(
            f"{setup.stage}: {phase} asks the teacher about texts of {segments} segments, and it has embeddings for"
            f" {sizes.segments}"
        )
