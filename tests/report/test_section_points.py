from __future__ import annotations

from typing import TYPE_CHECKING

from bebertlab.report.document import Figure
from bebertlab.report.material import material
from bebertlab.report.section_points import all_points, fronts

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_points_and_fronts(simulate: Simulate) -> None:
    made = material(*simulate())
    assert [block.name for block in all_points(made).blocks if isinstance(block, Figure)] == ["points"]
    assert [one.title for one in fronts(made)] == ["Score against size", "Score against training time"]


def test_a_single_trial_has_no_plots(simulate: Simulate) -> None:
    study, trials = simulate()
    made = material(study, trials[:1])
    assert not [block for block in all_points(made).blocks if isinstance(block, Figure)]
    assert fronts(made) == []
