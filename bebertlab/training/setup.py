"""The data and options that all phases of a training share."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from bebertlab.data.examples import Examples
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import SampleWeights
from bebertlab.interfaces.stage import ProgressReporter, ignore_progress
from bebertlab.interfaces.task import Task
from bebertlab.interfaces.training_state import TrainingStates
from bebertlab.training.options import TrainOptions
from bebertlab.training.sampler import EpochSampler
from bebertlab.training.teacher import Teacher


def ignore_warning(text: str) -> None:
    """For a training that nobody observes."""


@frozen(kw_only=True, eq=False)
class TeacherView:
    """The data of a training, tokenized by the teacher's tokenizer and truncated to the teacher's longest input."""

    train: Examples
    select: Examples
    #: parts in which that tokenizer differs from the student's, e.g. "vocabulary"; empty: it makes the same tokens
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
    teacher_view: TeacherView = field()  #: read by a teacher of which only the logits are needed; by default the same
    round: SampleWeights | None = None  #: what a member of an ensemble trains on; None: every example once an epoch
    keep_last: bool = False  #: keep the last state of the last phase too, not only the best
    device: str = "cpu"
    progress: ProgressReporter = ignore_progress  #: receives the learning curve while the training runs
    warn: Callable[[str], None] = ignore_warning  #: called with a warning about the result
    states: TrainingStates | None = None  #: keeps the state from time to time; None: a killed training starts again
    span: tuple[float, float] = (0.0, 1.0)  #: start and end of the phase as fractions of the training
    sampler: EpochSampler = field()  #: draws the examples of an epoch; by default according to `round`

    @teacher_view.default
    def _teacher_view(self) -> TeacherView:
        return TeacherView(train=self.train, select=self.select)

    @sampler.default
    def _sampler(self) -> EpochSampler:
        return EpochSampler(seed=self.seed, lengths=self.train.tokens.lengths, round=self.round)


def check_shared_tokens(setup: TrainingSetup, phase: str) -> None:
    """Check that the teacher can read the student's own batches, which a phase (named `phase`) passes to it.

    Raises:
        UserError: its tokenizer makes other tokens, or it has too few positions or segments for the texts.
    """
    if setup.teacher is None:
        return
    sizes, view = setup.teacher.architecture, setup.teacher_view
    if view.different:
        raise UserError(
            f"{setup.stage}: {phase} runs the teacher on the student's own tokens, and the teacher's tokenizer"
            f" ({setup.teacher.tokenizer}) differs in its {', '.join(view.different)}; take a teacher with the same"
            " tokenizer, or losses that read only its logits"
        )
    longest = max(int(examples.tokens.lengths.max()) for examples in (setup.train, setup.select))
    if longest > sizes.positions:
        raise UserError(
            f"{setup.stage}: {phase} runs the teacher on texts of up to {longest} tokens, and it has"
            f" {sizes.positions} positions; let the student start from an encoder or a load with maximum_tokens of"
            f" {sizes.positions} or less"
        )
    segments = max(int(examples.tokens.segments.max()) for examples in (setup.train, setup.select)) + 1
    if segments > sizes.segments:
        raise UserError(
            f"{setup.stage}: {phase} runs the teacher on texts of {segments} segments, and it has embeddings for"
            f" {sizes.segments}"
        )
