from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.config.yaml import to_yaml
from bebertlab.interfaces.events import TrialRecord
from bebertlab.interfaces.task import Caveat
from bebertlab.report.document import Bullets, Code
from bebertlab.report.notes import data_notes, how_to_read, reproduce, warnings
from bebertlab.report.report_data import collect
from bebertlab.report.write import compose

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_seeds_that_share_a_stage_are_named(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "share" not in str(how_to_read(collect(study, trials)).blocks[0]).replace("share models", "")
    shared = [evolve(trial, stages=(evolve(trial.stages[0], key="one for all"), *trial.stages[1:])) for trial in trials]
    assert "The seeds share teacher" in str(how_to_read(collect(study, shared)))


def test_instructions_reproduce_the_study(simulate: Simulate) -> None:
    study, trials = simulate()
    section = reproduce(collect(study, trials))
    text = str(section)
    assert all(phrase in text for phrase in ("ensemble_ablation@3f2c9a71", "minigrammar", "torch", "members.size"))
    assert [block.text for block in section.blocks if isinstance(block, Code)][1] == to_yaml(study.resolved)


def test_plugin_files_are_listed_where_they_are_kept(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "plugins" not in str(reproduce(collect(study, trials)))
    section = reproduce(collect(evolve(study, plugin_files=("plugins/mine.py", "plugins/helper.py")), trials))
    (files,) = [block.items for block in section.blocks if isinstance(block, Bullets)]
    assert files == ("plugins/mine.py", "plugins/helper.py")
    assert "copy both" in str(section)


def test_the_folder_of_relative_paths_is_named(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "relative_to" not in str(reproduce(collect(study, trials)).blocks[:3])
    placed = evolve(study, resolved={**study.resolved, "relative_to": "/home/me/studies"})
    text = str(reproduce(collect(placed, trials)).blocks[:3])
    assert "relative to /home/me/studies; on another machine, change relative_to in study.yaml" in text


def test_long_lists_of_values_are_shortened(simulate: Simulate) -> None:
    study, trials = simulate()
    wide = evolve(study, axes={"train.lr": tuple(range(50))})
    assert "(50 values)" in str(reproduce(collect(wide, trials)))


def test_stages_that_no_trial_needs_are_named(simulate: Simulate) -> None:
    study, trials = simulate()
    assert "Not run" not in str(how_to_read(collect(study, trials)))
    text = str(how_to_read(collect(evolve(study, not_needed=("binary", "tuned")), trials)))
    assert "Not run, since no trial's result needs them: binary and tuned." in text


def _warned(trial: TrialRecord, *texts: str) -> TrialRecord:
    return evolve(trial, stages=tuple(evolve(event, warnings=texts) for event in trial.stages))


def test_each_warning_is_shown_once_with_its_stages(simulate: Simulate) -> None:
    study, trials = simulate()
    study = evolve(study, questions=())  # whose plots take time
    warned = [_warned(trial, "texts are cut") for trial in trials]
    (section,) = warnings(collect(study, warned))
    (block,) = section.blocks
    assert isinstance(block, Bullets)
    (item,) = block.items
    assert item.startswith("stages teacher, ")
    assert item.endswith("other stages: texts are cut")
    assert section in compose(study, warned).sections


def test_the_description_of_the_study_comes_first(simulate: Simulate) -> None:
    study, trials = simulate()
    study = evolve(study, warnings=("the space is used up",), idle=("a: changes nothing",))
    (section,) = warnings(collect(study, [_warned(trial, "texts are cut") for trial in trials]))
    (block,) = section.blocks
    assert isinstance(block, Bullets)
    assert [item.split(": ")[-1] for item in block.items] == [
        "the space is used up",
        "changes nothing",
        "texts are cut",
    ]


def test_without_warnings_there_is_no_section(simulate: Simulate) -> None:
    assert warnings(collect(*simulate())) == ()


def test_truncated_texts_and_overlaps_are_reported_once(simulate: Simulate) -> None:
    study, trials = simulate()
    metrics = {
        **{"truncated/select": 0.0, "truncated/select_percent": 0.0},
        **{"truncated/validation": 1200.0, "truncated/validation_percent": 12.0},
        **{"overlap/train_validation_mismatched_same": 3.0, "overlap/train_select_short": 7.0},
    }
    text = [evolve(trial, metrics={**trial.metrics, **metrics}) for trial in trials]
    cut, overlap = data_notes(text)
    assert cut == "Texts with more tokens than the model reads are truncated: 1,200 of validation (12.0%)."
    assert overlap == (
        "The splits overlap: 7 short phrases of train occur in texts of select; "
        "3 examples of validation_mismatched are also in train."
    )
    assert cut in str(how_to_read(collect(study, text)))


def test_empty_notes_are_not_shown(simulate: Simulate) -> None:
    assert data_notes(simulate()[1]) == []


def test_caveats_of_the_data_are_not_repeated_as_warnings(simulate: Simulate) -> None:
    study, trials = simulate()
    odd = Caveat(kind="odd", short="odd", sentence="2 pairs are odd")
    warned = [
        evolve(trial, stages=(evolve(trial.stages[0], warnings=("2 pairs are odd", "slow")), *trial.stages[1:]))
        for trial in trials
    ]
    (section,) = warnings(collect(study, warned))
    assert "odd" in str(section)
    (section,) = warnings(collect(evolve(study, caveats=(odd,)), warned))
    assert "odd" not in str(section)
    assert "slow" in str(section)
