from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from bebertlab.interfaces.ensemble import Sampling
from bebertlab.testing.ensemble import check_ensemble
from bebertlab.testing.tiny import tiny_data
from bebertlab_bebert.average import WeightedMedianOptions
from bebertlab_bebert.boosting import BoostingOptions
from bebertlab_bebert.probability import WeightedProbabilityOptions
from bebertlab_bebert.r2 import AdaBoostR2
from bebertlab_bebert.samme import Samme

OPTIONS = [
    BoostingOptions(),
    BoostingOptions(sampling="reweight", perfect="stop", retries=0),
    BoostingOptions(loss="linear", weight_floor=0.1),
    BoostingOptions(loss="exponential", error_floor=1e-3),
]


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_keeps_the_contract(options: BoostingOptions, classes: int) -> None:
    check_ensemble(options, classes)


@pytest.mark.parametrize("sampling", ["resample", "reweight"])
def test_weights_reach_the_training_as_asked(sampling: Literal["resample", "reweight"]) -> None:
    assert BoostingOptions(sampling=sampling).build(2).first(0, tiny_data(np.arange(3) % 2)).sampling is Sampling(
        sampling
    )


def test_classes_decide_the_kind_of_boosting() -> None:
    assert isinstance(BoostingOptions().build(3), Samme)
    assert isinstance(BoostingOptions().build(1), AdaBoostR2)
    assert BoostingOptions().merger(3) == WeightedProbabilityOptions()
    assert BoostingOptions().merger(1) == WeightedMedianOptions()


@pytest.mark.parametrize(
    "wrong", [{"retries": -1}, {"error_floor": 0.0}, {"error_floor": 0.5}, {"weight_floor": 1.0}], ids=str
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BoostingOptions(**wrong)  # type: ignore[arg-type]
