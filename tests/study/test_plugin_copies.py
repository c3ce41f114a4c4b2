from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.registry.manager import load_plugins
from bebertlab.study.plugin_copies import copied_files, copied_names, copy_plugins, plugin_digests

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


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A file with a module beside it and one elsewhere, a package, and a neighbour of the file."""
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


def test_the_copies_are_the_same_plugins(plugins: tuple[str, ...], tmp_path: Path) -> None:
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


def test_copies_of_copies_stay_as_they_are(plugins: tuple[str, ...], tmp_path: Path) -> None:
    texts = load_plugins([Path(plugins[0])]).texts
    copy_plugins(texts, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "plugins").rglob("*")}
    copy_plugins(load_plugins([tmp_path / "plugins" / "first.py"]).texts, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "plugins").rglob("*.*")}.items() <= times.items()


def test_the_text_that_was_loaded_is_kept(plugins: tuple[str, ...], tmp_path: Path) -> None:
    texts = load_plugins([Path(plugins[0])]).texts
    Path(plugins[0]).with_name("copied_helper.py").write_text("value = 'edited meanwhile'")
    copy_plugins(texts, tmp_path)
    assert (tmp_path / "plugins" / "copied_helper.py").read_text() == "value = 1"


def test_a_plugin_that_does_not_load_is_kept_by_itself(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    texts = load_plugins([tmp_path / "broken.py"]).texts
    assert copy_plugins(texts, tmp_path / "study") == ("plugins/broken.py",)


def test_a_plugin_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import attrs")
    (tmp_path / "attrs.py").write_text("")
    with pytest.raises(UserError, match=r"plugin .*mine\.py: it imports 'attrs'"):
        plugin_digests([str(tmp_path / "mine.py")])
