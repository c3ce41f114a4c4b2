from __future__ import annotations

import numpy as np
import pytest

from bebertlab.interfaces.ensemble import Sampling
from bebertlab.testing.ensemble import check_ensemble
from bebertlab.testing.tiny import tiny_data
from bebertlab_bebert.single import SingleOptions


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_keeps_the_contract(classes: int) -> None:
    check_ensemble(SingleOptions(), classes)


def test_has_one_member_that_sees_every_example() -> None:
    assert SingleOptions.single
    single = SingleOptions().build(2)
    data = tiny_data(np.zeros(4, dtype=np.int64))
    first = single.first(0, data)
    assert first.sampling is Sampling.ALL
    verdict = single.update(0, first, None, data)
    assert (verdict.weight, verdict.kept, verdict.next) == (1.0, True, None)
