from __future__ import annotations

import numpy as np
import pytest

from bebertlab.interfaces.ensemble import Sampling
from bebertlab.testing.ensemble import check_ensemble
from bebertlab_bebert.bagging import BaggingOptions


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_keeps_the_contract(classes: int) -> None:
    check_ensemble(BaggingOptions(), classes)


def test_every_member_draws_a_bootstrap_and_counts_the_same() -> None:
    bagging = BaggingOptions().build(2)
    first = bagging.first(4)
    assert first.sampling is Sampling.BOOTSTRAP
    assert first.weights.tolist() == [0.25] * 4
    verdict = bagging.judge(3, first, None, np.zeros(4))
    assert (verdict.weight, verdict.kept, verdict.next) == (1.0, True, first)


def test_members_do_not_wait_for_each_other() -> None:
    assert not BaggingOptions.sequential
