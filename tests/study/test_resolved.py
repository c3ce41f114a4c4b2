from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
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
from bebertlab.study.resolved import (
    copied_files,
    copied_names,
    copy_plugins,
    digest,
    plugin_digests,
    resolved,
    study_folder,
    study_record,
)
from bebertlab.study.study import Study

if TYPE_CHECKING:
    from tests.study.conftest import Files

SCHEME = """
from attrs import frozen
from bebertlab.api import QuantSpec, SchemeOptions, hookimpl

@frozen(kw_only=True)
class Mine(SchemeOptions):
    kind = "KIND"

    def spec(self) -> QuantSpec:
        return QuantSpec()

@hookimpl
def bebertlab_schemes():
    return [Mine]
"""


def test_the_resolved_study_has_the_same_digest(files: Files, tmp_path: Path) -> None:
    sets = ["search.members.ensemble=[bagging, boosting]", "search.score.rate=[1.0, 2.0]", "objective.goal=minimize"]
    source = files.read(*sets, smoke=True)
    elsewhere = tmp_path / "elsewhere" / "study.yaml"
    copy_plugins(source.plugins.texts, elsewhere.parent)
    elsewhere.write_text(to_yaml(resolved(source.study)))
    again = read_study(elsewhere, load_plugins).study
    assert again == evolve(source.study, plugins=(str(elsewhere.parent / "plugins" / "parts.py"),))
    assert digest(again) == digest(source.study)
    assert resolved(again) == resolved(source.study)


def test_every_setting_changes_the_digest(files: Files) -> None:
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


def test_paths_of_files_do_not_change_the_digest(files: Files, tmp_path: Path) -> None:
    before = digest(files.read().study)
    moved = files.folder.rename(tmp_path.with_name("moved"))
    assert digest(read_study(moved / "study.yaml", load_plugins).study) == before


def test_imports_of_a_plugin_change_the_digest(files: Files) -> None:
    parts = files.folder / "parts.py"
    parts.write_text(parts.read_text() + "\nimport helper_of_parts\n")
    (files.folder / "helper_of_parts.py").write_text("value = 1\n")
    before = digest(files.read().study)
    (files.folder / "helper_of_parts.py").write_text("value = 2\n")
    assert digest(files.read().study) != before


def test_observers_get_the_resolved_study(files: Files) -> None:
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
    # the resolved study at any path is the same study
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


def test_another_path_gives_another_study(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_study_without_relative_paths_records_no_folder(files: Files) -> None:
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


def test_a_smoke_run_is_the_same_study_as_one_with_the_same_values(files: Files) -> None:
    smoke = files.read(smoke=True).study
    assert smoke.is_smoke
    assert resolved(smoke)["is_smoke"] is True
    assert "is_smoke" not in resolved(files.read().study)
    assert digest(smoke) == digest(evolve(smoke, is_smoke=False)) != digest(files.read().study)
    with pytest.raises(UserError, match="is_smoke: cannot be overridden"):
        files.read("is_smoke=true")


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A file with a module next to it and one elsewhere, a package, and a neighbour of the file."""
    texts = {
        "mine/first.py": f"{SCHEME.replace('KIND', 'first')}\nimport copied_helper\nimport copied_library.inner",
        "mine/copied_helper.py": "value = 1",
        "mine/unrelated.py": "",
        "mine/second.py": f"{SCHEME.replace('KIND', 'second')}\nimport copied_helper",
        "packed/parts/__init__.py": f"{SCHEME.replace('KIND', 'third')}\nfrom . import deep",
        "packed/parts/deep.py": "value = 2",
        "library/copied_library/__init__.py": "",
        "library/copied_library/inner.py": "value = 3",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "library"))
    return tuple(str(tmp_path / name) for name in ("mine/first.py", "packed/parts/__init__.py", "mine/second.py"))


def test_copies_of_plugins_have_equal_fingerprints(plugins: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "copied"
    texts = load_plugins([Path(plugin) for plugin in plugins]).texts
    names = copy_plugins(texts, folder)
    assert names == copied_files(texts)
    assert sorted(names) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
    assert sorted(names) == [
        "plugins/2/parts/__init__.py",
        "plugins/2/parts/deep.py",
        "plugins/copied_helper.py",
        "plugins/copied_library/__init__.py",
        "plugins/copied_library/inner.py",
        "plugins/first.py",
        "plugins/second.py",
    ]
    copies = [str(folder / name) for name in copied_names(plugins).values()]
    assert plugin_digests(copies) == plugin_digests(plugins)  # although the library is still where Python finds it
    again = load_plugins([Path(copy) for copy in copies])
    assert {"first", "second", "third"} <= set(again.registry.kinds("scheme"))
    assert [text.fingerprint for text in again.texts] == [text.fingerprint for text in texts]
    assert all(file.path.is_relative_to(folder) for text in again.texts for file in text.files)
    assert copied_names(copies) == {copy: str(Path(copy).relative_to(folder)) for copy in copies}


def test_copies_of_copies_are_unchanged(plugins: tuple[str, ...], tmp_path: Path) -> None:
    texts = load_plugins([Path(plugins[0])]).texts
    copy_plugins(texts, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "plugins").rglob("*")}
    copy_plugins(load_plugins([tmp_path / "plugins" / "first.py"]).texts, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "plugins").rglob("*.*")}.items() <= times.items()


def test_the_loaded_text_is_kept(plugins: tuple[str, ...], tmp_path: Path) -> None:
    texts = load_plugins([Path(plugins[0])]).texts
    Path(plugins[0]).with_name("copied_helper.py").write_text("value = 'edited meanwhile'")
    copy_plugins(texts, tmp_path)
    assert (tmp_path / "plugins" / "copied_helper.py").read_text() == "value = 1"


def test_a_plugin_that_fails_to_load_is_copied_as_one_file(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    texts = load_plugins([tmp_path / "broken.py"]).texts
    assert copy_plugins(texts, tmp_path / "study") == ("plugins/broken.py",)


def test_a_plugin_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import attrs")
    (tmp_path / "attrs.py").write_text("")
    with pytest.raises(UserError, match=r"plugin .*mine\.py: it imports 'attrs'"):
        plugin_digests([str(tmp_path / "mine.py")])
