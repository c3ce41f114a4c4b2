from __future__ import annotations

import torch

from bebertlab_baselines.groups import largest, mean, size, total

X = torch.tensor([[1.0, 3.0], [5.0, 7.0]])


def test_a_row_is_the_last_dimension() -> None:
    assert mean(X, "row").tolist() == [[2.0], [6.0]]
    assert largest(X, "row").tolist() == [[3.0], [7.0]]
    assert total(X, "row").tolist() == [[4.0], [12.0]]
    assert size(X, "row") == 2


def test_a_tensor_is_one_group() -> None:
    assert mean(X, "tensor").item() == 4.0
    assert largest(X, "tensor").item() == 7.0
    assert total(X, "tensor").item() == 16.0
    assert size(X, "tensor") == 4
