from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.resolved import resolved_part

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_a_part_of_the_resolved_study(simulate: Simulate) -> None:
    study, _ = simulate()
    assert resolved_part(study, "name") == "ensemble_ablation"
    assert resolved_part(study, "name", "deeper") is None
    assert resolved_part(study, "nothing", "deeper") is None
    assert resolved_part(evolve(study, resolved=""), "name") is None
