from __future__ import annotations

import torch

from bebertlab.interfaces.quantizer import Codes


def test_decoding_multiplies_each_row_by_its_step_and_adds_its_offset() -> None:
    levels = torch.tensor([[-1, 0, 1], [2, 1, 0]], dtype=torch.int8)
    step = torch.tensor([[0.5], [0.25]])
    codes = Codes(levels=levels, step=step, offset=torch.tensor([[0.0], [-1.0]]), bits=2)
    assert codes.decode().tolist() == [[-0.5, 0.0, 0.5], [-0.5, -0.75, -1.0]]


def test_decoding_keeps_the_precision_of_the_step() -> None:
    codes = Codes(levels=torch.tensor([1, 3]), step=torch.tensor(0.1, dtype=torch.float64), bits=2)
    assert codes.decode().dtype is torch.float64
