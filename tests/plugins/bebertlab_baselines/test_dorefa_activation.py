from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.testing import check_quantizer
from bebertlab_baselines import DorefaActivation


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
def test_keeps_the_quantizer_contract(bits: int) -> None:
    check_quantizer(DorefaActivation(bits=bits))
    check_quantizer(DorefaActivation(bits=max(bits, 2), signed=True))


def test_levels_are_even_from_zero_to_one() -> None:
    x = torch.tensor([-2.0, 0.1, 0.2, 0.6, 5.0])
    y = DorefaActivation(bits=2).build(x.shape)(x)
    assert y.tolist() == pytest.approx([0.0, 0.0, 1 / 3, 2 / 3, 1.0])


def test_one_bit_is_above_half_or_not() -> None:
    x = torch.tensor([0.0, 0.49, 0.51, 1.0])
    assert DorefaActivation(bits=1).build(x.shape)(x).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_signed_levels_are_mirrored() -> None:
    x = torch.tensor([-2.0, -0.3, 0.1, 0.6])
    y = DorefaActivation(bits=3, signed=True).build(x.shape)(x)
    assert y.tolist() == pytest.approx([-1.0, -1 / 3, 0.0, 2 / 3])


@pytest.mark.parametrize(("signed", "expected"), [(False, [0, 0, 0, 8, 16, 32, 0]), (True, [0, 2, 4, 8, 16, 32, 0])])
def test_the_gradient_passes_where_nothing_is_cut_off(
    signed: bool, expected: list[float], passed: Callable[[Quantizer, Tensor, Tensor], Tensor]
) -> None:
    x = torch.tensor([-1.1, -1.0, -0.5, 0.0, 0.5, 1.0, 1.1])
    upstream = 2.0 ** torch.arange(7)
    assert passed(DorefaActivation(signed=signed).build(x.shape), x, upstream).tolist() == expected


@pytest.mark.parametrize("options", [{"bits": 0}, {"bits": 17}, {"bits": 1, "signed": True}])
def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="bits"):
        DorefaActivation(**options)


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(DorefaActivation(), compiled=True)
