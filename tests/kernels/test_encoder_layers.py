from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.encoder_layers import SignLinear

PLANES = np.array([[0b101], [0b000], [0b111]], np.uint8)


@pytest.mark.parametrize("zero_one", [False, True])
def test_sums_follow_from_bits_that_differ(zero_one: bool) -> None:
    bits = np.unpackbits(PLANES, axis=1, bitorder="little")[:, :3]
    linear = SignLinear(PLANES, np.array([0.5, 1, 3], np.float32), np.zeros(3, np.float32), zero_one)
    for inputs in ([0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1]):
        levels = np.array(inputs) if zero_one else 2 * np.array(inputs) - 1
        sums = (2 * bits.astype(np.int64) - 1) @ levels
        differing = (bits != inputs).sum(1)
        products = (linear.starts(3) - 2 * differing) * linear.scale_of_starts()
        np.testing.assert_array_equal(products, sums * linear.scale)


def test_half_of_the_smallest_scale_is_refused() -> None:
    planes, zero, scale = np.zeros((1, 1), np.uint8), np.zeros(1, np.float32), np.array([1e-45], np.float32)
    assert SignLinear(planes, scale, zero).scale_of_starts() is scale
    with pytest.raises(ValueError, match="too small to be halved"):
        SignLinear(planes, scale, zero, zero_one=True).scale_of_starts()
