"""Pairing the tensors of a student with those of its teacher."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Outputs, Tap

#: the layers of a deeper teacher that a student is compared with, see `matched`
Layers = Literal["uniform", "last", "dynabert"]
LAYERS = ("uniform", "last", "dynabert")


def teacher_logits(loss: str, teacher: Outputs | None) -> Tensor:
    """The teacher's logits, without gradients.

    Raises:
        UserError: there is no teacher.
    """
    return _required(loss, teacher).logits.detach()


def paired(
    loss: str, tap: Tap, student: Outputs, teacher: Outputs | None, layers: Layers = "uniform"
) -> list[tuple[Tensor, Tensor]]:
    """Pairs of the student's and the teacher's tensors at a tap; `layers` selects those of a deeper teacher.

    The teacher's tensors have no gradients.

    Raises:
        UserError: there is no teacher, its depth does not suit the student's, or its tensors have other sizes.
    """
    mine, theirs = student.taps[tap], _required(loss, teacher).taps[tap]
    extra = 1 if tap is Tap.HIDDEN else 0  # the embedding output
    try:
        matches = [theirs[index] for index in matched(layers, tap, len(mine) - extra, len(theirs) - extra)]
    except UserError as error:
        raise UserError(f"loss '{loss}': {error}") from None
    if mine[0].shape != matches[0].shape:
        raise UserError(
            f"loss '{loss}': the student's {tap.value} are {tuple(mine[0].shape)}, the teacher's"
            f" {tuple(matches[0].shape)}; take a teacher of the same {'width' if extra else 'number of heads'}"
        )
    return [(tensor, match.detach()) for tensor, match in zip(mine, matches, strict=True)]


def matched(layers: Layers, tap: Tap, student_layers: int, teacher_layers: int) -> tuple[int, ...]:
    """The indices of the teacher's tensors at a tap that the student's tensors are compared with, in order.

    With n layers of the student, N of the teacher, k = N / n, i from 0, and hidden state 0 the embedding output:

    | layers | scores of the student's layer i | hidden state i |
    |---|---|---|
    | uniform | i k + k - 1, the last of each block of k | i k |
    | last | N - n + i | N - n + i |
    | dynabert | floor(i k), those that a slice by depth keeps | floor(i k), their inputs; the last with N |

    Source: uniform: TinyBERT, arXiv:1909.10351, section 4.1; last: PKD, arXiv:1908.09355, section 3.2;
    dynabert: DynaBERT, arXiv:2004.04037, section 2.2.

    Raises:
        UserError: the teacher has fewer layers, or for `uniform` not a multiple of the student's.

    >>> matched("uniform", Tap.SCORES, 3, 12), matched("dynabert", Tap.HIDDEN, 3, 12)
    ((3, 7, 11), (0, 4, 8, 12))
    """
    if layers == "uniform" and teacher_layers % student_layers:
        raise UserError(
            f"the teacher's {teacher_layers} layers are not a multiple of the student's {student_layers};"
            " `layers: last` and `layers: dynabert` accept any deeper teacher"
        )
    if teacher_layers < student_layers:
        raise UserError(
            f"the teacher has {teacher_layers} layers, the student {student_layers}; take a teacher that is at least as"
            " deep"
        )
    hidden = tap is Tap.HIDDEN
    if layers == "last":
        return tuple(range(teacher_layers - student_layers, teacher_layers + hidden))
    if layers == "dynabert":
        starts = (index * teacher_layers // student_layers for index in range(student_layers))
        return (*starts, *([teacher_layers] if hidden else []))
    stride = teacher_layers // student_layers
    return tuple(range(0 if hidden else stride - 1, teacher_layers + hidden, stride))


def _required(loss: str, teacher: Outputs | None) -> Outputs:
    if teacher is None:
        raise UserError(f"loss '{loss}' compares with a teacher, and there is none")
    return teacher
