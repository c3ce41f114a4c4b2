"""Which tensor of the teacher a tensor of the student is compared with."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Outputs, Tap

#: which layers of a deeper teacher a student is compared with, see `matched`
Layers = Literal["uniform", "last", "dynabert"]
LAYERS = ("uniform", "last", "dynabert")


def teacher_logits(loss: str, teacher: Outputs | None) -> Tensor:
    """The teacher's logits; no gradient passes.

    Raises:
        UserError: there is no teacher.
    """
    return _present(loss, teacher).logits.detach()


def paired(
    loss: str, tap: Tap, student: Outputs, teacher: Outputs | None, layers: Layers = "uniform"
) -> list[tuple[Tensor, Tensor]]:
    """The student's tensors at a tap with the teacher's, of a deeper teacher those that `layers` names.

    No gradient reaches the teacher.

    Raises:
        UserError: there is no teacher, its depth does not suit the student's, or its tensors have other sizes.
    """
    own, others = student.taps[tap], _present(loss, teacher).taps[tap]
    extra = 1 if tap is Tap.HIDDEN else 0  # the embedding output
    try:
        chosen = [others[place] for place in matched(layers, tap, len(own) - extra, len(others) - extra)]
    except UserError as error:
        raise UserError(f"loss '{loss}': {error}") from None
    if own[0].shape != chosen[0].shape:
        raise UserError(
            f"loss '{loss}': the student's {tap.value} are {tuple(own[0].shape)}, the teacher's"
            f" {tuple(chosen[0].shape)}; take a teacher of the same {'width' if extra else 'number of heads'}"
        )
    return [(mine, theirs.detach()) for mine, theirs in zip(own, chosen, strict=True)]


def matched(layers: Layers, tap: Tap, own: int, others: int) -> tuple[int, ...]:
    """The places in the teacher's tensors of a tap that a student of `own` layers is compared with, in order.

    With n layers of the student, N of the teacher, k = N / n, i from 0, and hidden state 0 the embedding output:

    | layers | scores of the student's layer i | hidden state i |
    |---|---|---|
    | uniform | i k + k - 1, the last of each block of k | i k |
    | last | N - n + i | N - n + i |
    | dynabert | floor(i k), those that a slice by depth keeps | floor(i k), what goes into them; the last with N |

    Source: uniform: TinyBERT, arXiv:1909.10351, section 4.1; last: PKD, arXiv:1908.09355, section 3.2;
    dynabert: DynaBERT, arXiv:2004.04037, section 2.2.

    Raises:
        UserError: the teacher has fewer layers, or no multiple of the student's for `uniform`.

    >>> matched("uniform", Tap.SCORES, 3, 12), matched("dynabert", Tap.HIDDEN, 3, 12)
    ((3, 7, 11), (0, 4, 8, 12))
    """
    if layers == "uniform" and others % own:
        raise UserError(
            f"the teacher's {others} layers are not a multiple of the student's {own};"
            " `layers: last` and `layers: dynabert` take those of any deeper teacher"
        )
    if others < own:
        raise UserError(f"the teacher has {others} layers, the student {own}; a teacher at least as deep is right")
    hidden = tap is Tap.HIDDEN
    if layers == "last":
        return tuple(range(others - own, others + hidden))
    if layers == "dynabert":
        return (*(place * others // own for place in range(own)), *([others] if hidden else []))
    stride = others // own
    return tuple(range(0 if hidden else stride - 1, others + hidden, stride))


def _present(loss: str, teacher: Outputs | None) -> Outputs:
    if teacher is None:
        raise UserError(f"loss '{loss}' compares with a teacher, and there is none")
    return teacher
