"""Members and merging against the published code of BEBERT.

Differences of its code are computed here from its numbers: it halves the weight of a classifier, lacks the term
for more than two classes, keeps members that are no better than chance, and merges without dividing by the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bebertlab.interfaces.ensemble import Floats, SampleWeights, Sampling
from bebertlab.testing.tiny import tiny_data
from bebertlab_bebert.boosting import BoostingOptions
from bebertlab_bebert.merging import HardVoteOptions, WeightedMean

if TYPE_CHECKING:
    from tests.conftest import Golden

Case = dict[str, Any]
Arrays = dict[str, NDArray[Any]]
Tolerances = dict[str, dict[str, Any]]  #: tolerances by quantity
FLOOR = 1e-10  #: an error below it counts as this much


def test_weights_equal_those_of_the_reference(golden: Callable[[str], Golden]) -> None:
    vectors = golden("boosting").of("BEBERT/binarybert", "BEBERT/BiBERT")
    for case in vectors.cases:
        t = {name: x.double().numpy() for name, x in vectors.below(case["name"]).items()}
        compare = compare_merged if "logits" in t else compare_member
        compare(case, t, vectors.meta["tolerance"])


def compare_member(case: Case, t: Arrays, tolerance: Tolerances) -> None:
    name, classes = case["name"], case.get("num_labels", 1)
    predicted, target, weights = (t[what].reshape(-1) for what in ("pred", "target", "weights_in"))
    logits = predicted[:, None] if classes == 1 else np.eye(classes)[predicted.astype(np.int64)]
    sample_weights = SampleWeights(sampling=Sampling.RESAMPLE, weights=weights)
    result = BoostingOptions(error_floor=FLOOR).build(classes).update(0, sample_weights, logits, tiny_data(target))
    if (predicted == target).all():  # the published code divides by 0
        assert (result.kept, result.error) == (True, 0.0), name
        assert result.weight == pytest.approx(math.log((1 - FLOOR) / FLOOR) + math.log(max(classes - 1, 1))), name
        following = weights / weights.sum()
    else:
        error, chance = float(t["err"]), 1 - 1 / max(classes, 2)
        assert result.error == approx(error, tolerance["err, alpha"]), name
        if abs(error - chance) > 1e-6:  # nearer, rounding decides
            assert result.kept == (error < chance), name
        if not result.kept:
            assert result.weight == 0, name
            return
        weight, following = regressor(t) if classes == 1 else classifier(t, classes, predicted != target)
        assert result.weight == approx(weight, tolerance["err, alpha"]), name
    assert result.next is not None
    assert np.allclose(result.next.weights, following, **tolerance["weights"]), name


def classifier(t: Arrays, classes: int, miss: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """The weight of a member and of the examples after it, by SAMME; for two classes only the first differs."""
    raised = t["weights_out_normalised"].reshape(-1) * np.where(miss, classes - 1, 1)
    return 2 * float(t["alpha"]) + math.log(classes - 1), raised / raised.sum()


def regressor(t: Arrays) -> tuple[float, NDArray[Any]]:
    """The same by AdaBoost.R2, whose file calls beta alpha."""
    return -math.log(float(t["alpha"])), t["weights_out"].reshape(-1)


def approx(expected: float, tolerance: dict[str, Any]) -> Any:  # noqa: ANN401 - what pytest returns
    return pytest.approx(expected, rel=tolerance["rtol"], abs=tolerance["atol"])


def compare_merged(case: Case, t: Arrays, tolerance: Tolerances) -> None:
    name, logits = case["name"], t["logits"]
    weights = t.get("alpha", np.ones(len(logits)))
    if "votes" in t:
        compare_votes(name, logits, weights, t["votes"])
        return
    if logits.shape[2] == 1 and "alpha" in t:
        weights = -np.log(weights)
    merged = WeightedMean().merge(logits, weights)
    summed = merged * weights.sum()
    if "argmax" in t:
        assert np.allclose(summed, t["combined"], **tolerance["combined"]), name
        assert (merged.argmax(axis=1) == t["argmax"]).all(), name
    elif logits.shape[2] == 1:  # divided by the number of members
        assert np.allclose(summed[:, 0] / len(weights), t["combined"], **tolerance["combined"]), name
    else:
        assert (merged.argmax(axis=1) == t["combined"]).all(), name


def compare_votes(name: str, logits: Floats, weights: Floats, expected: NDArray[Any]) -> None:
    """A tie goes to the lowest class in the published code; here to the larger probability by default."""
    classes = logits.shape[2]
    lowest = HardVoteOptions(tie="lowest_class").build(classes).merge(logits, weights)
    assert (lowest.argmax(axis=1) == expected).all(), name
    votes = np.einsum("m,mnc->nc", weights, np.eye(classes)[logits.argmax(axis=2)])
    tied = votes >= votes.max(axis=1, keepdims=True) - 1e-9 * weights.sum()
    odds = np.exp(logits - logits.max(axis=2, keepdims=True))
    probability = np.einsum("m,mnc->nc", weights, odds / odds.sum(axis=2, keepdims=True))
    merged = HardVoteOptions().build(classes).merge(logits, weights).argmax(axis=1)
    assert (merged == np.where(tied, probability, -1.0).argmax(axis=1)).all(), name
    alone = tied.sum(axis=1) == 1
    assert (merged[alone] == expected[alone]).all(), name
