from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.document import Bullets, Code
from bebertlab.report.material import material
from bebertlab.report.section_notes import reading, reproduce

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


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
