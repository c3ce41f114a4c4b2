from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.material import material
from bebertlab.report.section_costs import failures, select_optimism, step_scores, training_time

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_sections(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    made = material(study, [fail(trials[0]), *trials[1:]])
    assert "the loss became NaN" in str(failures(made))
    assert "half_teacher" in str(step_scores(made))
    assert "without the store the trials would have taken 1 h" in str(training_time(made))
    assert "+1.00 points" in str(select_optimism(made))


def test_nothing_to_say_is_no_section(simulate: Simulate) -> None:
    study, trials = simulate()
    bare = [evolve(one, stages=(), metrics={"validation/score": 1.0}) for one in trials]
    made = material(study, bare)
    assert failures(made) == step_scores(made) == training_time(made) == select_optimism(made) == []
