from __future__ import annotations

import pytest
import torch

from bebertlab.errors import UserError
from bebertlab.nn.tensors import check_tensors


def test_equal_names_and_shapes_pass() -> None:
    check_tensors({"a": torch.ones(2)}, {"a": torch.zeros(2)})


def test_everything_that_does_not_fit_is_named() -> None:
    wanted = {"a": torch.ones(2, 3), "b": torch.ones(4), "c": torch.ones(())}
    given = {"a": torch.ones(2, 2), "c": torch.ones(()), "d": torch.ones(1)}
    with pytest.raises(UserError) as raised:
        check_tensors(given, wanted)
    assert str(raised.value) == (
        "tensors do not fit the model: missing: b (4,); unexpected: d (1,); wrong shape: a is (2, 2), should be (2, 3)"
    )


def test_long_lists_are_cut() -> None:
    wanted = {f"w{index}": torch.ones(1) for index in range(8)}
    with pytest.raises(UserError, match=r"w4 \(1,\) and 3 more$"):
        check_tensors({}, wanted)
