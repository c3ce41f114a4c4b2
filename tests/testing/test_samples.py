from __future__ import annotations

import pytest
import torch

from bebertlab.testing.samples import CHANNELS, MATRIX, ORDINARY, balanced, matrices, probabilities, states


def test_samples_have_the_shapes_that_quantizers_are_built_for() -> None:
    assert {x.shape for x in matrices().values()} == {MATRIX}
    assert {x.shape[-1:] for x in states().values()} == {CHANNELS}
    assert all(x.sum(-1).le(1 + 1e-6).all() for x in probabilities().values())
    assert ORDINARY in matrices().keys() & states().keys() & probabilities().keys()


@pytest.mark.parametrize("shape", [(6, 16), (2, 5, 16), (2, 2, 5, 5)])
def test_balanced_numbers_have_means_of_exactly_zero(shape: tuple[int, ...]) -> None:
    x = balanced(torch.ones(shape))
    assert x.shape == shape
    assert (x.mean(-1) == 0).all()
    assert x.mean() == 0
    assert (x == 0).any()
    assert (x != 0).any()
