from __future__ import annotations

import pytest
import torch

from bebertlab.errors import UserError
from bebertlab.model.tensors import check_tensors, left_out


def test_equal_names_and_shapes_pass() -> None:
    check_tensors({"a": torch.ones(2)}, {"a": torch.zeros(2)})


def test_every_mismatch_is_named() -> None:
    expected = {"a": torch.ones(2, 3), "b": torch.ones(4), "c": torch.ones(())}
    given = {"a": torch.ones(2, 2), "c": torch.ones(()), "d": torch.ones(1)}
    with pytest.raises(UserError) as raised:
        check_tensors(given, expected)
    assert str(raised.value) == (
        "tensors do not fit the model: missing: b (4,); unexpected: d (1,); wrong shape: a is (2, 2), should be (2, 3)"
    )


def test_long_lists_are_shortened() -> None:
    expected = {f"w{index}": torch.ones(1) for index in range(8)}
    with pytest.raises(UserError, match=r"w4 \(1,\) and 3 more$"):
        check_tensors({}, expected)


def test_omitted_tensors_are_counted() -> None:
    given = {
        "bert.word_1": torch.arange(6.0),
        "bert.step": torch.tensor(2.0),
        "bert.bias": torch.ones(3, dtype=torch.float64),
        "bert.dead": torch.full((2,), 7.0),
        "bert.flagged": torch.tensor(1.0),
        "cls.step": torch.tensor([2.0]),
    }
    loaded = {
        "bert.word.branches.0": torch.arange(6.0).view(2, 3),
        "bert.quantizer.step": torch.tensor([2.0]),
        "bert.bias": torch.ones(3),
        "bert.set": torch.tensor(True),
    }
    assert left_out(given, loaded) == ("bert.dead", "bert.flagged", "cls.step")
    assert left_out(given, given) == ()
