from __future__ import annotations

import pytest

from bebertlab.bench.clock import Ratio
from bebertlab.bench.row import Better, Goal, Row


@pytest.mark.parametrize(
    ("better", "goal", "ratio", "met"),
    [
        ("lower", 1.3, 1.3, True),
        ("lower", 1.3, 1.31, False),
        ("higher", 4.0, 4.0, True),
        ("higher", 4.0, 3.9, False),
        ("lower", 0.0, 0.0, True),
        ("lower", None, 5.0, None),
    ],
)
def test_a_goal_is_a_bound_that_may_be_reached(
    better: Better, goal: float | None, ratio: float, met: bool | None
) -> None:
    row = Row(target=Goal(name="a.b", what="", better=better, goal=goal), ratio=Ratio.of([ratio]))
    assert row.met is met


def test_a_name_is_a_family_and_a_member() -> None:
    assert Goal(name="step.w1a8", what="", better="lower").member == "w1a8"
