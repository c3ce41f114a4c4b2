from __future__ import annotations

import numpy as np

from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab_bebert.rounds import Rounds


def rounds(*, retries: int = 1, stop_at_perfect: bool = False, weight_floor: float = 0.0) -> Rounds:
    return Rounds(
        sampling=Sampling.RESAMPLE, retries=retries, stop_at_perfect=stop_at_perfect, weight_floor=weight_floor
    )


def test_kept_weights_are_shares() -> None:
    verdict = rounds().kept(2.0, 0.1, np.array([1.0, 3.0]))
    assert verdict.next is not None
    assert verdict.next.weights.tolist() == [0.25, 0.75]
    assert (verdict.weight, verdict.kept, verdict.error) == (2.0, True, 0.1)


def test_no_example_falls_below_the_floor() -> None:
    verdict = rounds(weight_floor=0.5).kept(2.0, 0.1, np.array([0.0, 0.0, 0.0, 1.0]))
    assert verdict.next is not None
    assert np.allclose(verdict.next.weights, np.array([1, 1, 1, 8]) / 11)


def test_a_discarded_member_resets_the_weights_as_often_as_allowed() -> None:
    uneven = SampleWeights(sampling=Sampling.RESAMPLE, weights=np.array([0.9, 0.1]))
    first = rounds().discarded(0.6, uneven)
    assert (first.weight, first.kept, first.error) == (0.0, False, 0.6)
    assert first.next is not None
    assert first.next.weights.tolist() == [0.5, 0.5]
    assert first.next.retries == 1
    assert rounds().discarded(0.6, first.next).next is None
    assert rounds(retries=0).discarded(0.6, uneven).next is None


def test_a_kept_member_ends_the_count_of_retries() -> None:
    verdict = rounds().kept(1.0, 0.1, np.ones(2))
    assert verdict.next is not None
    assert verdict.next.retries == 0


def test_after_a_perfect_member_the_weights_stay_or_it_ends() -> None:
    weights = np.array([0.9, 0.1])
    going_on = rounds().perfect(23.0, weights)
    assert going_on.next is not None
    assert going_on.next.weights.tolist() == [0.9, 0.1]
    assert (going_on.kept, going_on.weight, going_on.error) == (True, 23.0, 0.0)
    assert rounds(stop_at_perfect=True).perfect(23.0, weights).next is None
