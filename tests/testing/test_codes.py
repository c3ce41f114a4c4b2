"""What `check_quantizer` finds of this is in `test_quantizer.py`; here is what only a direct call shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bebertlab.api import Codes, Quantizer
from bebertlab.testing import ContractError
from bebertlab.testing.codes import check_codes


class Halves(Quantizer):
    """Rounds to halves."""

    bits = 4

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).decode()

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=(2 * x).round().to(torch.int8), step=x.new_tensor(0.5), bits=4)


def test_what_holds_passes() -> None:
    check_codes(Halves(), torch.tensor([0.3, -2.0]), "halves")


@pytest.mark.parametrize("highest", [16, 20])
def test_levels_that_need_more_bits_are_found(highest: int) -> None:
    with pytest.raises(ContractError, match=f"halves: levels from 0 to {highest} do not fit into 4 bits"):
        check_codes(Halves(), torch.tensor([0.0, highest / 2]), "halves")
