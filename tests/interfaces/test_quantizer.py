from __future__ import annotations

import pytest
import torch

from bebertlab.interfaces.quantizer import SIGNS, TERNARY, ZERO_ONE, Alphabet, Codes


def test_decoding_multiplies_each_row_by_its_step_and_adds_its_offset() -> None:
    levels = torch.tensor([[-1, 0, 1], [2, 1, 0]], dtype=torch.int8)
    step = torch.tensor([[0.5], [0.25]])
    codes = Codes(levels=levels, step=step, offset=torch.tensor([[0.0], [-1.0]]), alphabet=Alphabet(-1, 2))
    assert codes.decode().tolist() == [[-0.5, 0.0, 0.5], [-0.5, -0.75, -1.0]]
    assert codes.bits == 2


def test_decoding_keeps_the_precision_of_the_step() -> None:
    step = torch.tensor(0.1, dtype=torch.float64)
    codes = Codes(levels=torch.tensor([1, 3]), step=step, alphabet=Alphabet.unsigned(2))
    assert codes.decode().dtype is torch.float64


@pytest.mark.parametrize(
    ("alphabet", "levels", "bits"),
    [
        (SIGNS, [-1, 1], 1),
        (ZERO_ONE, [0, 1], 1),
        (TERNARY, [-1, 0, 1], 2),
        (Alphabet.symmetric(2), [-1, 0, 1], 2),
        (Alphabet.signed(2), [-2, -1, 0, 1], 2),
        (Alphabet.unsigned(2), [0, 1, 2, 3], 2),
        (Alphabet(-4, 4, spacing=2), [-4, -2, 0, 2, 4], 3),
    ],
)
def test_an_alphabet_is_its_levels(alphabet: Alphabet, levels: list[int], bits: int) -> None:
    assert (alphabet.size, alphabet.bits) == (len(levels), bits)
    every = torch.arange(-9, 10)
    assert [level for level in every.tolist() if alphabet.contains(torch.tensor([level]))] == levels
    assert alphabet.contains(torch.tensor(levels, dtype=torch.int8))
    assert not alphabet.contains(every)
    positions = (torch.tensor(levels) - alphabet.low) // alphabet.spacing
    assert positions.tolist() == [*range(alphabet.size)]


@pytest.mark.parametrize(
    ("alphabet", "levels", "dtype", "inside"),
    [
        (TERNARY, [0, 1], torch.uint8, True),  # -1 is 255 there
        (TERNARY, [0, 255], torch.uint8, False),
        (Alphabet.unsigned(8), [0, 127], torch.int8, True),  # 255 is -1 there
        (Alphabet(-128, 127, spacing=3), [-128, 1, 127], torch.int8, True),  # 127 + 128 is -1 there
        (Alphabet(-128, 127, spacing=3), [-128, 0, 127], torch.int8, False),
        (TERNARY, [0.0, 1.0], torch.float32, True),
        (TERNARY, [0.0, 0.5], torch.float32, False),
        (TERNARY, [0.0, float("nan")], torch.float32, False),
        (TERNARY, [], torch.int8, True),
    ],
)
def test_whether_levels_are_in_an_alphabet_does_not_depend_on_their_dtype(
    alphabet: Alphabet, levels: list[float], dtype: torch.dtype, inside: bool
) -> None:
    assert alphabet.contains(torch.tensor(levels, dtype=dtype)) is inside


@pytest.mark.parametrize(("low", "high", "spacing"), [(1, 1, 1), (1, 0, 1), (-1, 2, 2), (0, 4, 0)])
def test_other_alphabets_are_refused(low: int, high: int, spacing: int) -> None:
    with pytest.raises(ValueError, match="high must be low plus a multiple of spacing"):
        Alphabet(low, high, spacing)
