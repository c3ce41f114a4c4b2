from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.compose import compose
from bebertlab.report.document import Bullets
from bebertlab.report.material import material
from bebertlab.report.section_warnings import warnings

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def _warned(trial: TrialRecord, *texts: str) -> TrialRecord:
    return evolve(trial, stages=tuple(evolve(event, warnings=texts) for event in trial.stages))


def test_each_warning_stands_once_with_its_stages(simulate: Simulate) -> None:
    study, trials = simulate()
    study = evolve(study, questions=())  # whose plots take time
    warned = [_warned(trial, "texts are cut") for trial in trials]
    (section,) = warnings(material(study, warned))
    (block,) = section.blocks
    assert isinstance(block, Bullets)
    (item,) = block.items
    assert item.startswith("stages teacher, ")
    assert item.endswith("other stages: texts are cut")
    assert section in compose(study, warned).sections


def test_what_the_study_says_of_itself_stands_first(simulate: Simulate) -> None:
    study, trials = simulate()
    study = evolve(study, warnings=("the space is used up",), idle=("a: changes nothing",))
    (section,) = warnings(material(study, [_warned(trial, "texts are cut") for trial in trials]))
    (block,) = section.blocks
    assert isinstance(block, Bullets)
    assert [item.split(": ")[-1] for item in block.items] == [
        "the space is used up",
        "changes nothing",
        "texts are cut",
    ]


def test_no_section_without_a_warning(simulate: Simulate) -> None:
    assert warnings(material(*simulate())) == ()
