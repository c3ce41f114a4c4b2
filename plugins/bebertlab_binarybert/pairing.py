"""Which tensor of the teacher a tensor of the student is compared with."""

from __future__ import annotations

from torch import Tensor

from bebertlab.api import Outputs, Tap, UserError


def teacher_logits(loss: str, teacher: Outputs | None) -> Tensor:
    """The teacher's logits; no gradient passes.

    Raises:
        UserError: there is no teacher.
    """
    return _present(loss, teacher).logits.detach()


def paired(loss: str, tap: Tap, student: Outputs, teacher: Outputs | None) -> list[tuple[Tensor, Tensor]]:
    """The student's tensors at a tap with the teacher's; of a teacher k times as deep every k-th is taken.

    Layer i of the student is compared with layer i k + k - 1 of the teacher, hidden state i (0 is the embedding
    output) with hidden state i k: the state after a layer goes with the scores inside it. No gradient reaches the
    teacher.

    Raises:
        UserError: there is no teacher, its depth is not a multiple of the student's, or its tensors have other sizes.
    """
    own, others = student.taps[tap], _present(loss, teacher).taps[tap]
    extra = 1 if tap is Tap.HIDDEN else 0  # the embedding output
    layers, depth = len(own) - extra, len(others) - extra
    if depth % layers:
        raise UserError(f"loss '{loss}': the teacher's {depth} layers are not a multiple of the student's {layers}")
    stride = depth // layers
    chosen = others[::stride] if extra else others[stride - 1 :: stride]
    if own[0].shape != chosen[0].shape:
        raise UserError(
            f"loss '{loss}': the student's {tap.value} are {tuple(own[0].shape)}, the teacher's"
            f" {tuple(chosen[0].shape)}; take a teacher of the same {'width' if extra else 'number of heads'}"
        )
    return [(mine, theirs.detach()) for mine, theirs in zip(own, chosen, strict=True)]


def _present(loss: str, teacher: Outputs | None) -> Outputs:
    if teacher is None:
        raise UserError(f"loss '{loss}' compares with a teacher, and there is none")
    return teacher
