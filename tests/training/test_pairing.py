from __future__ import annotations

import pytest
import torch

from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Outputs, Tap
from bebertlab.model.slice import kept_layers
from bebertlab.training.pairing import LAYERS, Layers, matched, paired, teacher_logits


def outputs(tap: Tap, count: int, width: int = 3) -> Outputs:
    """Tensors that contain their index."""
    return Outputs(
        logits=torch.zeros(1, 2), taps={tap: tuple(torch.full((1, 2, width), float(i)) for i in range(count))}
    )


@pytest.mark.parametrize(
    ("tap", "student_layers", "others", "expected"),
    [
        (Tap.SCORES, 2, 2, [0, 1]),
        (Tap.SCORES, 2, 4, [1, 3]),
        (Tap.SCORES, 3, 12, [3, 7, 11]),
        (Tap.HIDDEN, 3, 3, [0, 1, 2]),
        (Tap.HIDDEN, 3, 5, [0, 2, 4]),
        (Tap.HIDDEN, 4, 13, [0, 4, 8, 12]),
    ],
)
def test_a_deeper_teacher_gives_every_kth_layer(
    tap: Tap, student_layers: int, others: int, expected: list[int]
) -> None:
    pairs = paired("some", tap, outputs(tap, student_layers), outputs(tap, others))
    assert [int(theirs.mean()) for _, theirs in pairs] == expected
    assert [int(mine.mean()) for mine, _ in pairs] == list(range(student_layers))


@pytest.mark.parametrize(
    ("tap", "student_layers", "others"), [(Tap.SCORES, 2, 3), (Tap.HIDDEN, 3, 4), (Tap.SCORES, 4, 2)]
)
def test_depths_that_do_not_divide_are_refused(tap: Tap, student_layers: int, others: int) -> None:
    with pytest.raises(UserError, match=r"'some'.* not a multiple"):
        paired("some", tap, outputs(tap, student_layers), outputs(tap, others))


@pytest.mark.parametrize(
    ("layers", "tap", "student_layers", "others", "expected"),
    [
        ("last", Tap.SCORES, 3, 8, [5, 6, 7]),
        ("last", Tap.HIDDEN, 4, 9, [5, 6, 7, 8]),
        ("dynabert", Tap.SCORES, 3, 4, [0, 1, 2]),
        ("dynabert", Tap.SCORES, 2, 4, [0, 2]),
        ("dynabert", Tap.HIDDEN, 4, 5, [0, 1, 2, 4]),
        ("dynabert", Tap.HIDDEN, 3, 5, [0, 2, 4]),
    ],
)
def test_a_deeper_teacher_can_be_read_at_other_layers(
    layers: Layers, tap: Tap, student_layers: int, others: int, expected: list[int]
) -> None:
    pairs = paired("some", tap, outputs(tap, student_layers), outputs(tap, others), layers)
    assert [int(theirs.mean()) for _, theirs in pairs] == expected


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("tap", [Tap.SCORES, Tap.HIDDEN])
def test_models_of_one_depth_are_compared_layer_by_layer(layers: Layers, tap: Tap) -> None:
    assert matched(layers, tap, 5, 5) == tuple(range(6 if tap is Tap.HIDDEN else 5))


@pytest.mark.parametrize("depth", [0.25, 0.5, 0.75])
def test_the_map_of_dynabert_is_that_of_the_slice(depth: float) -> None:
    kept = kept_layers(12, depth)
    assert matched("dynabert", Tap.SCORES, len(kept), 12) == kept
    assert matched("dynabert", Tap.HIDDEN, len(kept), 12) == (*kept, 12)


@pytest.mark.parametrize("layers", ["last", "dynabert"])
def test_a_shallower_teacher_is_refused(layers: Layers) -> None:
    with pytest.raises(UserError, match="'some': the teacher has 2 layers, the student 3; take a teacher that is"):
        paired("some", Tap.SCORES, outputs(Tap.SCORES, 3), outputs(Tap.SCORES, 2), layers)


def test_a_teacher_of_another_width_is_refused() -> None:
    with pytest.raises(UserError, match=r"\(1, 2, 3\).*\(1, 2, 6\).*same width"):
        paired("some", Tap.HIDDEN, outputs(Tap.HIDDEN, 3), outputs(Tap.HIDDEN, 3, width=6))


def test_a_missing_teacher_is_refused() -> None:
    with pytest.raises(UserError, match="'some' compares with a teacher"):
        teacher_logits("some", None)
