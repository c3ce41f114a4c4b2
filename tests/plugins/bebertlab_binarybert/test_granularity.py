from __future__ import annotations

import torch

from bebertlab_binarybert.granularity import mean, total

X = torch.tensor([[1.0, 3.0], [5.0, 7.0]])


def test_a_tensor_has_one_group() -> None:
    assert mean(X, "tensor").item() == 4.0
    assert total(X, "tensor").item() == 16.0


def test_a_row_is_the_last_dimension_and_broadcasts() -> None:
    assert mean(X, "row").tolist() == [[2.0], [6.0]]
    assert total(X[None], "row").tolist() == [[[4.0], [12.0]]]
