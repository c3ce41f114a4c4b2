from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.data_notes import data_notes
from bebertlab.report.material import material
from bebertlab.report.section_notes import reading

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_what_is_cut_and_what_overlaps_is_said_once(simulate: Simulate) -> None:
    study, trials = simulate()
    metrics = {
        **{"truncated/select": 0.0, "truncated/select_percent": 0.0},
        **{"truncated/validation": 1200.0, "truncated/validation_percent": 12.0},
        **{"overlap/train_validation_mismatched_same": 3.0, "overlap/train_select_short": 7.0},
    }
    told = [evolve(trial, metrics={**trial.metrics, **metrics}) for trial in trials]
    cut, overlap = data_notes(told)
    assert cut == "Texts with more tokens than the model reads lose their end: 1,200 of validation (12.0%)."
    assert overlap == (
        "The splits overlap: 7 short phrases of train stand in texts of select; "
        "3 examples of validation_mismatched are also in train."
    )
    assert cut in str(reading(material(study, told)))


def test_nothing_is_said_of_nothing(simulate: Simulate) -> None:
    assert data_notes(simulate()[1]) == []
