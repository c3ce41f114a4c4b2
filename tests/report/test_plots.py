from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.report.html import SERIES
from bebertlab.report.plots import canvas, colour, curves, hue_axis, limits, marker, svg

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def _plot(name: str) -> str:
    with canvas(3.0, 2.0) as (figure, (axis,)):
        axis.plot([0, 1], [0, 1], clip_on=True)
        return svg(figure, name)


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert _plot("a") == _plot("a")


def test_identifiers_of_two_plots_on_a_page_differ() -> None:
    ids = [
        {node.get("id") for node in ET.fromstring(_plot(name)).iter() if node.tag.endswith("clipPath")} for name in "ab"
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_series_are_told_apart_by_colour_and_sign() -> None:
    assert len({(colour(place), marker(place)) for place in range(6)}) == 6
    assert colour(6) == SERIES[0]


@pytest.mark.parametrize("values", [[1.0, 2.0], [5.0], [0.0, 0.0], [-3.0, 3.0]])
def test_limits_leave_room(values: list[float]) -> None:
    low, high = limits(values)
    assert low < min(values) <= max(values) < high


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
