from __future__ import annotations

import pytest
import torch

from bebertlab.api import Outputs, Tap, UserError
from bebertlab_binarybert.pairing import paired, teacher_logits


def outputs(tap: Tap, count: int, width: int = 3) -> Outputs:
    """Tensors that carry their place."""
    return Outputs(
        logits=torch.zeros(1, 2), taps={tap: tuple(torch.full((1, 2, width), float(i)) for i in range(count))}
    )


@pytest.mark.parametrize(
    ("tap", "own", "others", "expected"),
    [
        (Tap.SCORES, 2, 2, [0, 1]),
        (Tap.SCORES, 2, 4, [1, 3]),
        (Tap.SCORES, 3, 12, [3, 7, 11]),
        (Tap.HIDDEN, 3, 3, [0, 1, 2]),
        (Tap.HIDDEN, 3, 5, [0, 2, 4]),
        (Tap.HIDDEN, 4, 13, [0, 4, 8, 12]),
    ],
)
def test_a_deeper_teacher_gives_every_kth_layer(tap: Tap, own: int, others: int, expected: list[int]) -> None:
    pairs = paired("some", tap, outputs(tap, own), outputs(tap, others))
    assert [int(theirs.mean()) for _, theirs in pairs] == expected
    assert [int(mine.mean()) for mine, _ in pairs] == list(range(own))


@pytest.mark.parametrize(("tap", "own", "others"), [(Tap.SCORES, 2, 3), (Tap.HIDDEN, 3, 4), (Tap.SCORES, 4, 2)])
def test_depths_that_do_not_divide_are_refused(tap: Tap, own: int, others: int) -> None:
    with pytest.raises(UserError, match=r"'some'.* not a multiple"):
        paired("some", tap, outputs(tap, own), outputs(tap, others))


def test_a_teacher_of_another_width_is_refused() -> None:
    with pytest.raises(UserError, match=r"\(1, 2, 3\).*\(1, 2, 6\).*same width"):
        paired("some", Tap.HIDDEN, outputs(Tap.HIDDEN, 3), outputs(Tap.HIDDEN, 3, width=6))


def test_no_teacher_is_refused() -> None:
    with pytest.raises(UserError, match="'some' compares with a teacher"):
        teacher_logits("some", None)
