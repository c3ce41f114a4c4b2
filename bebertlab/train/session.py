"""What all phases of a training share."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from bebertlab.interfaces.ensemble import Round
from bebertlab.interfaces.task import Task
from bebertlab.train.examples import Examples
from bebertlab.train.options import TrainOptions
from bebertlab.train.sampler import Sampler
from bebertlab.train.teacher import Teacher


def _silent(fraction: float, text: str) -> None:
    """No one to tell."""


@frozen(kw_only=True, eq=False)
class Session:
    """One training of one model."""

    stage: str  #: for messages
    task: Task
    train: Examples
    select: Examples
    options: TrainOptions
    seed: int
    teacher: Teacher | None = None
    round: Round | None = None  #: what an ensemble has this member train on; None: every example once an epoch
    keep_last: bool = False  #: the last state of the last phase is wanted too, not only the best
    device: str = "cpu"
    progress: Callable[[float, str], None] = _silent  #: told the part done (0 to 1) and a few words
    span: tuple[float, float] = (0.0, 1.0)  #: part of the training that a phase is, from where to where
    sampler: Sampler = field()  #: what an epoch holds; as the round says, unless told

    @sampler.default
    def _sampler(self) -> Sampler:
        return Sampler(seed=self.seed, lengths=self.train.tokens.lengths, round=self.round)
