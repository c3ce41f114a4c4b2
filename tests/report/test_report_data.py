from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.report_data import material, standing

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_standing_counts_what_was_never_told(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    _, trials = simulate()
    assert standing(trials[:3], None) == "3 of 3 trials complete"
    assert standing([*trials[:2], fail(trials[2])], 10) == "2 of 10 trials complete, 1 failed, 7 unfinished"


def test_scored_points_only(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    made = material(study, [fail(one) if one.number < 3 else one for one in trials])
    assert len(made.points) == 42
    assert len(made.scored) == 41
    assert len(made.answers) == 3
