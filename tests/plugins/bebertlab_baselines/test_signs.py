from __future__ import annotations

import torch

from bebertlab_baselines.signs import sign_bits, signs

X = torch.tensor([-0.5, -0.0, 0.0, 2.0])


def test_zero_counts_as_one_and_fits_a_bit() -> None:
    assert signs(X, as_published=False).tolist() == [-1.0, 1.0, 1.0, 1.0]
    assert sign_bits(as_published=False) == 1


def test_as_published_zero_is_a_third_value_and_takes_two_bits() -> None:
    assert signs(X, as_published=True).tolist() == [-1.0, 0.0, 0.0, 1.0]
    assert sign_bits(as_published=True) == 2
