from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.config.yaml import to_yaml
from bebertlab.manager import load_plugins
from bebertlab.study.planner import Planner, recipe_at
from bebertlab.study.plugin_copies import copy_plugins
from bebertlab.study.resolved import digest, resolved, study_folder, study_record
from bebertlab.study.source import read_study

if TYPE_CHECKING:
    from tests.study.conftest import Files


def test_the_resolved_study_is_the_same_study(files: Files, tmp_path: Path) -> None:
    sets = ["search.members.ensemble=[bagging, boosting]", "search.score.rate=[1.0, 2.0]", "objective.goal=minimize"]
    source = files.read(*sets, smoke=True)
    elsewhere = tmp_path / "elsewhere" / "study.yaml"
    copy_plugins(source.plugins.texts, elsewhere.parent)
    elsewhere.write_text(to_yaml(resolved(source.study)))
    again = read_study(elsewhere, load_plugins).study
    assert again == evolve(source.study, plugins=(str(elsewhere.parent / "plugins" / "parts.py"),))
    assert digest(again) == digest(source.study)
    assert resolved(again) == resolved(source.study)


def test_everything_that_is_said_tells_studies_apart(files: Files) -> None:
    known = {digest(files.read().study)}
    changes = ["seeds=[0]", "threads=2", "task.size=5", "members.size=1", "name=other", "description=x", "score.rate=2"]
    for change in changes:
        known.add(digest(files.read(change).study))
    (files.folder / "parts.py").write_text((files.folder / "parts.py").read_text() + "\n# another text\n")
    known.add(digest(files.read().study))
    assert len(known) == 9
    tpe = ("sampler=tpe", "sampler.trials=20")
    drawn = [digest(files.read(*tpe, *more).study) for more in ((), ("sampler.startup=10",), ("sampler.startup=5",))]
    assert drawn[0] == drawn[1] != drawn[2]


def test_where_the_files_are_does_not(files: Files, tmp_path: Path) -> None:
    before = digest(files.read().study)
    moved = files.folder.rename(tmp_path.with_name("moved"))
    assert digest(read_study(moved / "study.yaml", load_plugins).study) == before


def test_what_a_plugin_imports_tells_studies_apart(files: Files) -> None:
    parts = files.folder / "parts.py"
    parts.write_text(parts.read_text() + "\nimport helper_of_parts\n")
    (files.folder / "helper_of_parts.py").write_text("value = 1\n")
    before = digest(files.read().study)
    (files.folder / "helper_of_parts.py").write_text("value = 2\n")
    assert digest(files.read().study) != before


def test_what_observers_see(files: Files) -> None:
    source = files.read()
    from bebertlab.recipe.plan import Machine

    point = {"members.ensemble": "bagging", "members.size": 1}
    plan = Planner(source.plugins, Machine()).plan(recipe_at(source.study, point, 0, source.plugins.registry))
    texts, missing = source.plugins.texts, {"ff": "fake"}
    record = study_record(source.study, Path("work"), plan.task, texts=texts, planned=14, finished=3, missing=missing)
    assert record.plugin_files == ("plugins/parts.py",)
    assert record.folder == study_folder(source.study, Path("work")) == Path(f"work/studies/little-{record.digest[:8]}")
    assert record.identity == {"task": "fake/4", "encoder": "fake", "recipe": "study"}
    assert record.axes == {"members.ensemble": ("single", "bagging", "boosting"), "members.size": (1, 2, 4)}
    assert (record.objective, record.maximize, record.generated, record.planned, record.finished) == (
        "validation/score",
        True,
        True,
        14,
        3,
    )
    assert record.missing == {"ff": "fake"}
    assert record.resolved == to_yaml(resolved(source.study))
