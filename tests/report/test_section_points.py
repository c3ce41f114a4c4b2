from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.document import Figure, Text
from bebertlab.report.material import material
from bebertlab.report.section_points import all_points, fronts

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_points_and_fronts(simulate: Simulate) -> None:
    made = material(*simulate())
    assert [block.name for block in all_points(made).blocks if isinstance(block, Figure)] == ["points"]
    assert [one.title for one in fronts(made)] == ["Score against size", "Score against training time"]


def test_operations_have_a_front_where_they_differ(simulate: Simulate) -> None:
    study, trials = simulate()
    costly = [evolve(one, metrics={**one.metrics, "cost/gigaflops": one.parameters["members.size"]}) for one in trials]
    names = [block.name for one in fronts(material(study, costly)) for block in one.blocks if isinstance(block, Figure)]
    assert names == ["pareto-size", "pareto-operations", "pareto-seconds"]
    said, plain = (all_points(material(study, some)).blocks[0] for some in (costly, trials))
    assert isinstance(said, Text)
    assert isinstance(plain, Text)
    assert ("GFLOPs: one sentence" in said.words, "GFLOPs" in plain.words) == (True, False)
    assert "Total: with scales" in plain.words


def test_a_single_trial_has_no_plots(simulate: Simulate) -> None:
    study, trials = simulate()
    made = material(study, trials[:1])
    assert not [block for block in all_points(made).blocks if isinstance(block, Figure)]
    assert fronts(made) == []
