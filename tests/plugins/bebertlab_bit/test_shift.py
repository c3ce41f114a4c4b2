from __future__ import annotations

import pytest
import torch

from bebertlab.api import UserError
from bebertlab_bit.shift import add_shift, groups, new_shift


def test_a_shift_has_a_number_for_each_channel_and_starts_at_nothing() -> None:
    assert new_shift("elastic", torch.Size([3])).tolist() == [0.0, 0.0, 0.0]
    assert new_shift("elastic", torch.Size([5, 2])).tolist() == [0.0, 0.0]


def test_a_dimension_that_varies_is_refused() -> None:
    with pytest.raises(UserError, match="'elastic': a shift needs a fixed number of channels"):
        new_shift("elastic", torch.Size([]))


def test_adding_keeps_the_dtype() -> None:
    x, shift = torch.ones(2, 3, dtype=torch.bfloat16), torch.tensor([0.0, 1.0, 2.0])
    assert add_shift(x, shift).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert add_shift(x, shift).dtype is torch.bfloat16
    assert add_shift(x, None) is x


def test_only_what_is_there_is_in_a_group() -> None:
    shift = new_shift("elastic", torch.Size([3]))
    assert groups(shift=None) == ()
    assert [group.no_decay_group for group in groups(shift=shift)] == [True]
    assert [group.no_decay_group for group in groups(shift=shift, scale=shift)] == [False, True]
