from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.document import Bullets, Code
from bebertlab.report.notes import reading, reproduce
from bebertlab.report.report_data import material

if TYPE_CHECKING:
    from tests.report.conftest import Simulate
from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.notes import data_notes, warnings
from bebertlab.report.write import compose


def test_seeds_that_share_a_stage_are_told(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "share" not in str(reading(material(study, trials)).blocks[0]).replace("share models", "")
    shared = [evolve(one, stages=(evolve(one.stages[0], key="one for all"), *one.stages[1:])) for one in trials]
    assert "The seeds share teacher" in str(reading(material(study, shared)))


def test_what_it_takes_to_run_it_again(simulate: Simulate) -> None:
    study, trials = simulate()
    section = reproduce(material(study, trials))
    said = str(section)
    assert all(words in said for words in ("ensemble_ablation@3f2c9a71", "minigrammar", "torch", "members.size"))
    assert [block.text for block in section.blocks if isinstance(block, Code)][1] == study.resolved


def test_the_files_of_plugins_are_named_where_they_are_kept(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "plugins" not in str(reproduce(material(study, trials)))
    section = reproduce(material(evolve(study, plugin_files=("plugins/mine.py", "plugins/helper.py")), trials))
    (files,) = [block.items for block in section.blocks if isinstance(block, Bullets)]
    assert files == ("plugins/mine.py", "plugins/helper.py")
    assert "take both along" in str(section)


def test_the_folder_of_relative_paths_is_named(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "relative_to" not in str(reproduce(material(study, trials)).blocks[:3])
    placed = evolve(study, resolved=f"{study.resolved}relative_to: /home/me/studies\n")
    said = str(reproduce(material(placed, trials)).blocks[:3])
    assert "relative to /home/me/studies; elsewhere, change relative_to in study.yaml" in said


def test_long_lists_of_values_are_cut(simulate: Simulate) -> None:
    study, trials = simulate()
    wide = evolve(study, axes={"train.lr": tuple(range(50))})
    assert "(50 values)" in str(reproduce(material(wide, trials)))


def test_stages_that_no_trial_needs_are_named(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "Not run" not in str(reading(material(study, trials)))
    said = str(reading(material(evolve(study, not_needed=("binary", "tuned")), trials)))
    assert "Not run, as no trial's result needs them: binary and tuned." in said


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
