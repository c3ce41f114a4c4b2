from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.interfaces.quantizer import SIGNS, TERNARY, Alphabet
from bebertlab.packed.planes import (
    _unpack_bits,
    find_padding,
    find_unknown_index,
    pack_levels,
    packing_problem,
    plane_shape,
    unpack_levels,
)

ALPHABETS = st.builds(
    lambda low, steps, spacing: Alphabet(low, low + steps * spacing, spacing),
    st.one_of(st.integers(-128, 0), st.integers(-1000, 1000)),
    st.integers(1, 255),
    st.integers(1, 5),
)


@st.composite
def matrices(draw: st.DrawFn) -> tuple[Tensor, Alphabet]:
    alphabet = draw(ALPHABETS)
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 140))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    indices = torch.randint(0, alphabet.size, (rows, columns), generator=generator)
    return indices * alphabet.spacing + alphabet.low, alphabet


@settings(max_examples=40)
@given(matrices())
def test_unpacked_levels_are_those_that_were_packed(matrix: tuple[Tensor, Alphabet]) -> None:
    levels, alphabet = matrix
    planes = pack_levels(levels, alphabet)
    assert planes.shape == plane_shape(levels.shape[0], levels.shape[1], alphabet)
    assert torch.equal(unpack_levels(torch.from_numpy(planes), alphabet, levels.shape[1]).long(), levels)
    assert not find_padding(planes, levels.shape[1])
    assert not find_unknown_index(planes, alphabet)


@pytest.mark.parametrize("alphabet", [Alphabet(-128, 127), Alphabet(0, 255), Alphabet(-127, 127), Alphabet(-100, 155)])
def test_every_level_of_a_byte_comes_back(alphabet: Alphabet) -> None:
    levels = torch.arange(alphabet.low, alphabet.high + 1)[None]
    planes = torch.from_numpy(pack_levels(levels, alphabet))
    assert torch.equal(unpack_levels(planes, alphabet, levels.shape[1]).long(), levels)


def test_a_bit_is_where_the_format_says() -> None:
    levels = torch.zeros(2, 70, dtype=torch.int8)
    levels[1, 66] = 1  # the index of 1 is 2, of 0 is 1
    planes = pack_levels(levels, TERNARY)
    assert planes.shape == (2, 2, 16)
    assert planes[1, 1, 8] == 1 << 2
    assert planes[1, 1].sum() == 1 << 2
    assert planes[1, 0, 8] == 0b111011
    assert planes[0, 0].tolist() == [255] * 8 + [0b111111] + [0] * 7


@settings(max_examples=40)
@given(matrices())
def test_other_devices_unpack_the_same_levels(matrix: tuple[Tensor, Alphabet]) -> None:
    levels, alphabet = matrix
    planes = torch.from_numpy(pack_levels(levels, alphabet))
    bits = _unpack_bits(planes, levels.shape[1]).long()
    weights = (2 ** torch.arange(alphabet.bits))[:, None]
    assert torch.equal((bits * weights).sum(1) * alphabet.spacing + alphabet.low, levels)


@settings(max_examples=40)
@given(matrices(), st.integers(0, 2**31))
def test_a_set_bit_of_the_padding_is_found(matrix: tuple[Tensor, Alphabet], place: int) -> None:
    levels, alphabet = matrix
    planes = pack_levels(levels, alphabet)
    columns, bits = levels.shape[1], planes.shape[2] * 8
    if columns < bits:
        column = columns + place % (bits - columns)
        planes[place % len(planes), place % alphabet.bits, column // 8] |= 1 << column % 8
        assert find_padding(planes, columns)


@settings(max_examples=40)
@given(matrices())
def test_an_index_above_the_alphabet_is_found(matrix: tuple[Tensor, Alphabet]) -> None:
    levels, alphabet = matrix
    wider = Alphabet(alphabet.low, alphabet.low + (2**alphabet.bits - 1) * alphabet.spacing, alphabet.spacing)
    for index in range(alphabet.size, wider.size):
        levels[-1, -1] = wider.low + index * wider.spacing
        assert find_unknown_index(pack_levels(levels, wider), alphabet)


def test_levels_of_another_alphabet_are_refused() -> None:
    with pytest.raises(ValueError, match="not in"):
        pack_levels(torch.tensor([[0]]), SIGNS)
    with pytest.raises(ValueError, match="at most 8"):
        pack_levels(torch.tensor([[0]]), Alphabet.signed(9))


def test_levels_that_float32_cannot_hold_are_not_packed() -> None:
    assert "float32" in packing_problem(Alphabet(2**24, 2**24 + 1))
    assert packing_problem(Alphabet(2**24 - 1, 2**24)) == ""
