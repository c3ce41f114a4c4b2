"""All phases of a training, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from bebertlab.interfaces.distillation import Phase
from bebertlab.nn.bert import BertClassifier
from bebertlab.train.loop import Training, fit
from bebertlab.train.session import Session


def train_phases(model: BertClassifier, phases: Sequence[Phase], session: Session) -> Training:
    """Train a model, in place, through all phases; each starts from the best state of the one before.

    The phases are those that `resolve_phases` gives.

    Raises:
        UserError: a phase needs a teacher and there is none, or cannot weigh examples as the round asks.
        TrainingFault: a loss is not finite.
    """
    done = [fit(model, phase, _part(session, i, len(phases))) for i, phase in enumerate(phases)]
    asked = [part.teacher_seconds for part in done if part.teacher_seconds is not None]
    return Training(
        steps=sum(part.steps for part in done),
        seconds=sum(part.seconds for part in done),
        teacher_seconds=sum(asked) if asked else None,
        last=done[-1].last,
    )


def need_teacher(phases: Sequence[Phase], classes: int) -> bool:
    """Whether a loss of a phase reads a teacher, for a task of `classes` classes (1 for regression).

    Raises:
        UserError: a loss makes no sense for that number of classes.
    """
    return any(loss.build(classes).needs_teacher for phase in phases for loss in phase.losses)


def _part(session: Session, index: int, parts: int) -> Session:
    """The session of one of several phases, each an equal part of the training."""

    def tell(fraction: float, text: str) -> None:
        session.progress((index + fraction) / parts, text)

    last = session.keep_last and index == parts - 1
    return evolve(session, progress=tell, span=(index / parts, (index + 1) / parts), keep_last=last)
