from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.report.curves import curves, hue_axis

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_a_curve_is_the_mean_over_the_other_options(simulate: Simulate) -> None:
    study, trials = simulate()
    found = {one.label: one for one in curves(study, trials, "members.size", "members.ensemble")}
    assert found["single"].values == (1,)
    assert found["boosting"].values == (1, 2, 4)
    wanted = [
        one.metrics["validation/score"]
        for one in trials
        if (one.parameters["members.ensemble"], one.parameters["members.size"]) == ("boosting", 4)
    ]
    assert found["boosting"].scores[2].mean == pytest.approx(sum(wanted) / len(wanted))
    assert found["boosting"].scores[2].count == 3


def test_one_curve_without_a_second_option(simulate: Simulate) -> None:
    study, trials = simulate()
    (only,) = curves(study, trials, "members.size", "")
    assert only.values == (1, 2, 4)


def test_points_are_coloured_by_what_is_asked_first(simulate: Simulate) -> None:
    study, _ = simulate()
    assert hue_axis(study) == "members.ensemble"
    assert hue_axis(study, but="members.ensemble") == "members.distillation"
    assert hue_axis(evolve(study, questions=())) == "ternary.scheme.activation_bits"
    assert hue_axis(evolve(study, axes={"train.lr": tuple(range(40))})) == ""
