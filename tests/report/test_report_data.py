from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.report_data import collect, progress_label

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_trials_that_never_started_are_counted(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    _, trials = simulate()
    assert progress_label(trials[:3], None) == "3 of 3 trials complete"
    assert progress_label([*trials[:2], fail(trials[2])], 10) == "2 of 10 trials complete, 1 failed, 7 left"


def test_only_scored_points_are_ranked(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    data = collect(study, [fail(trial) if trial.number < 3 else trial for trial in trials])
    assert len(data.points) == 42
    assert len(data.scored) == 41
    assert len(data.answers) == 3
