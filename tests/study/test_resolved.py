from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.config.yaml import to_yaml
from bebertlab.errors import UserError
from bebertlab.interfaces.task import GENERATED
from bebertlab.registry.manager import load_plugins
from bebertlab.study.loaded_study import LoadedStudy, read_study
from bebertlab.study.planner import Planner, recipe_at
from bebertlab.study.plugin_copies import copy_plugins
from bebertlab.study.resolved import digest, resolved, study_folder, study_record
from bebertlab.study.study import Study

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
    from bebertlab.pipeline.plan import ComputeSettings

    point = {"members.ensemble": "bagging", "members.size": 1}
    plan = Planner(source.plugins, ComputeSettings()).plan(recipe_at(source.study, point, 0, source.plugins.registry))
    texts, missing = source.plugins.texts, {"ff": "fake"}
    record = study_record(
        source.study,
        Path("work"),
        plan.task,
        caveats=plan.task.caveats,
        texts=texts,
        planned=14,
        finished=3,
        missing=missing,
    )
    assert record.plugin_files == ("plugins/parts.py",)
    assert record.folder == study_folder(source.study, Path("work")) == Path(f"work/studies/little-{record.digest[:8]}")
    assert record.identity == {"task": "fake/4", "encoder": "fake", "recipe": "study"}
    assert record.axes == {"members.ensemble": ("single", "bagging", "boosting"), "members.size": (1, 2, 4)}
    assert (record.objective, record.maximize, record.caveats, record.planned, record.finished) == (
        "validation/score",
        True,
        (GENERATED,),
        14,
        3,
    )
    assert record.missing == {"ff": "fake"}
    assert record.resolved == resolved(source.study)


PLACED = """\
name: placed
plugins: [parts.py]
recipe: recipes/r.yaml
search: {trunk.file: {choice: [one, ../two]}}
"""
PLACED_RECIPE = """\
task: fake
encoder: fake
stages:
  trunk: {kind: fake-reader, file: x}
  score: {kind: fake-reader, file: ~/y, model: trunk}
"""


def placed(folder: Path) -> Path:
    (folder / "recipes").mkdir(parents=True)
    (folder / "recipes" / "r.yaml").write_text(PLACED_RECIPE)
    (folder / "placed.yaml").write_text(PLACED)
    return folder / "placed.yaml"


def files_at(study: Study, source: LoadedStudy, point: Mapping[str, object]) -> list[str]:
    recipe = recipe_at(study, point, 0, source.plugins.registry)
    return [recipe["stages"][name]["file"] for name in ("trunk", "score")]


def test_a_study_with_relative_paths_may_be_moved(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    folders = [tmp_path / name for name in ("first", "second")]
    sources = []
    for folder in folders:
        path = placed(folder)
        shutil.copy(files.folder / "parts.py", folder)
        sources.append(read_study(path, load_plugins))
    first, second = (source.study for source in sources)
    assert digest(first) == digest(second)
    assert (first.relative_to, second.relative_to) == tuple(map(str, folders))
    assert files_at(first, sources[0], {"trunk.file": "one"}) == [str(folders[0] / "one"), "/home/me/y"]
    assert files_at(second, sources[1], {}) == [str(folders[1] / "recipes" / "x"), "/home/me/y"]
    # the resolved study, wherever it lies, is the same study
    kept = tmp_path / "work" / "study.yaml"
    copy_plugins(sources[0].plugins.texts, kept.parent)
    kept.write_text(to_yaml(resolved(first)))
    again = read_study(kept, load_plugins)
    assert evolve(again.study, plugins=()) == evolve(first, plugins=())
    assert digest(again.study) == digest(first)
    assert files_at(again.study, again, {"trunk.file": "../two"})[0] == str(folders[0] / "../two")
    moved = read_study(kept, load_plugins, sets=[f"relative_to={folders[1]}"])
    assert files_at(moved.study, moved, {"trunk.file": "one"})[0] == str(folders[1] / "one")
    assert digest(moved.study) == digest(first)


def test_another_path_is_another_study(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = placed(tmp_path / "first")
    shutil.copy(files.folder / "parts.py", path.parent)
    source = read_study(path, load_plugins, sets=["score.file=z", "search.trunk.file=[a, /b]"])
    assert source.study.search["trunk.file"].choice == ("./../a", "/b")
    assert files_at(source.study, source, {"trunk.file": "./../a"}) == [
        str(path.parent / "./../a"),
        str(path.parent / "./../z"),
    ]
    monkeypatch.chdir(path.parent)
    other = read_study(path, load_plugins, sets=["score.file=z", "search.trunk.file=[a, /b]"])
    assert other.study.search["trunk.file"].choice == ("a", "/b")
    assert digest(other.study) != digest(source.study)


def test_a_study_without_relative_paths_names_no_folder(files: Files) -> None:
    assert "relative_to" not in resolved(files.read().study)


def test_files_of_a_study_may_begin_with_the_home_folder(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "first"))
    path = placed(tmp_path / "first")
    shutil.copy(files.folder / "parts.py", path.parent)
    other = tmp_path / "other.yaml"
    other.write_text("name: placed\nplugins: [~/parts.py]\nrecipe: ~/recipes/r.yaml\n")
    assert len(read_study(other, load_plugins).study.plugins) == 1
    monkeypatch.chdir(path.parent)  # on the command line: from the current folder
    assert read_study(other, load_plugins, sets=["recipe=recipes/r.yaml", "plugins=[parts.py]"]).study.name == "placed"
    other.write_text("name: placed\nplugins: [~/parts.py]\nrecipe: ~nobody-here/r.yaml\n")
    with pytest.raises(UserError, match=r"other\.yaml:3:9: recipe: .*~nobody-here"):
        read_study(other, load_plugins)
