from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.report.html import SERIES
from bebertlab.report.plots import canvas, colour, hue_axis, limits, marker, svg

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def _plot(name: str) -> str:
    with canvas(3.0, 2.0) as (figure, (axis,)):
        axis.plot([0, 1], [0, 1], clip_on=True)
        return svg(figure, name)


def test_equal_data_give_equal_bytes() -> None:
    assert _plot("a") == _plot("a")


def test_identifiers_of_two_plots_on_a_page_differ() -> None:
    ids = [
        {node.get("id") for node in ET.fromstring(_plot(name)).iter() if node.tag.endswith("clipPath")} for name in "ab"
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_series_differ_in_colour_and_marker() -> None:
    assert len({(colour(series), marker(series)) for series in range(6)}) == 6
    assert colour(6) == SERIES[0]


@pytest.mark.parametrize("values", [[1.0, 2.0], [5.0], [0.0, 0.0], [-3.0, 3.0]])
def test_limits_have_a_margin(values: list[float]) -> None:
    low, high = limits(values)
    assert low < min(values) <= max(values) < high


def test_points_are_coloured_by_the_option_of_the_first_question(simulate: Simulate) -> None:
    study, _ = simulate()
    assert hue_axis(study) == "members.ensemble"
    assert hue_axis(study, but="members.ensemble") == "members.distillation"
    assert hue_axis(evolve(study, questions=())) == "ternary.scheme.activation_bits"
    assert hue_axis(evolve(study, axes={"train.lr": tuple(range(40))})) == ""
