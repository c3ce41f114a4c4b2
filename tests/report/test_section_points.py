from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.document import Figure, Text
from bebertlab.report.material import Material, material
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


def test_rejected_members_are_told(simulate: Simulate) -> None:
    study, trials = simulate()
    assert not _rejected(material(study, trials))
    lost = [evolve(one, metrics={**one.metrics, "members/kept": 1.0}) if one.number < 7 else one for one in trials]
    made = material(study, lost)
    searched = [one.parameters for one in lost[:7] if one.parameters["members.size"] > 1]
    of_them = [f"#{point.number}" for point in made.points if point.parameters in searched]
    (told,) = _rejected(made)
    assert len(of_them) == 1
    assert f"vote in {of_them[0]}: the others were rejected" in told


def _rejected(made: Material) -> list[str]:
    return [block.words for block in all_points(made).blocks if isinstance(block, Text) and "rejected" in block.words]
