from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.registry.plugin_text import PluginText, installed_text, is_installed, read_plugin

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_plugins_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper of a plugin that another test loaded is not what these plugins import."""
    finders = [finder for finder in sys.meta_path if not getattr(finder, "of_plugins", False)]
    monkeypatch.setattr(sys, "meta_path", finders)
    monkeypatch.delitem(sys.modules, "helper", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, text: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def names(text: PluginText) -> list[str]:
    return [file.name for file in text.files]


@pytest.mark.parametrize(
    "statement",
    [
        "import helper",
        "import helper as h, os",
        "from helper import something",
        "from helper import *",
        "def build():\n    import helper",
        "class A:\n    def run(self):\n        from helper import something",
        "try:\n    import helper\nexcept ImportError:\n    helper = None",
        "import importlib\nhelper = importlib.import_module('helper')",
        "import importlib\nhelper = importlib.import_module(name='helper')",
        "from importlib import import_module as load\nhelper = load('helper')",
        "helper = __import__('helper')",
        "import runpy\nhelper = runpy.run_path(str(Path(__file__).with_name('helper.py')))",
    ],
)
def test_an_imported_file_next_to_the_plugin_is_part_of_it(write: Write, statement: str) -> None:
    main = write("mine.py", statement)
    write("helper.py", "import inner")
    write("inner.py")
    write("unrelated.py")
    before = read_plugin(main)
    assert names(before) == ["mine.py", "helper.py", "inner.py"]
    write("inner.py", "x = 1")
    assert read_plugin(main).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    "statement",
    [
        "import sys\ndef build():\n    sys.path.insert(0, str(Path(__file__).parent / 'lib'))\n    import helper",
        "import runpy\nhelper = runpy.run_path(str(Path(__file__).parent / 'lib' / 'helper.py'))",
    ],
)
def test_a_file_in_a_folder_that_the_text_names_is_part_of_it(write: Write, statement: str) -> None:
    main = write("mine.py", statement)
    write("lib/helper.py")
    write("lib/unrelated.py")
    before = read_plugin(main)
    assert names(before) == ["mine.py", "lib/helper.py"]
    write("lib/helper.py", "x = 1")
    assert read_plugin(main).fingerprint != before.fingerprint


def test_all_files_of_a_package_are_part_of_it(write: Write) -> None:
    main = write("mine.py", "from parts.deep import thing")
    for name in ("parts/__init__.py", "parts/deep/__init__.py", "parts/deep/thing.py", "parts/loaded_by_name.py"):
        write(name)
    write("parts/table.csv")
    assert sorted(names(read_plugin(main))) == [
        "mine.py",
        "parts/__init__.py",
        "parts/deep/__init__.py",
        "parts/deep/thing.py",
        "parts/loaded_by_name.py",
    ]


def test_of_a_folder_without_an_init_file_only_imported_modules_are(write: Write) -> None:
    main = write("mine.py", "from lib import helper\nimport lib.deep.other")
    for name in ("lib/helper.py", "lib/deep/other.py", "lib/unrelated.py"):
        write(name)
    assert sorted(names(read_plugin(main))) == ["lib/deep/other.py", "lib/helper.py", "mine.py"]


def test_a_package_is_a_plugin_with_all_its_files(write: Write) -> None:
    main = write("parts/__init__.py", "from . import helper\nfrom .deep import thing")
    write("parts/helper.py", "from ..parts.other import x\nimport beside")
    for name in ("parts/other.py", "parts/deep/thing.py", "beside.py"):
        write(name)
    actual = read_plugin(main)
    assert names(actual)[0] == "parts/__init__.py"
    assert sorted(names(actual)[1:]) == ["beside.py", "parts/deep/thing.py", "parts/helper.py", "parts/other.py"]


def test_installed_code_is_not_part_of_it(write: Write) -> None:
    main = write(
        "mine.py", "import os, json, torch, attrs, pytest, surely_not_there\nfrom bebertlab.api import hookimpl"
    )
    assert names(read_plugin(main)) == ["mine.py"]
    assert is_installed(Path(pytest.__file__).resolve())
    assert not is_installed(main)


def test_a_data_folder_named_like_an_installed_package_is_not_imported(write: Write) -> None:
    main = write("mine.py", "import attrs")
    write("attrs/convert.py")
    assert names(read_plugin(main)) == ["mine.py"]


def test_a_module_that_shadows_an_installed_one_is_refused(write: Write) -> None:
    main = write("mine.py", "import attrs")
    write("attrs.py")
    with pytest.raises(UserError, match=r"it imports 'attrs', which is .*attrs\.py and .*; rename the file next to"):
        read_plugin(main)


def test_a_plugin_may_have_the_name_of_an_installed_package(write: Write) -> None:
    assert names(read_plugin(write("attrs.py", "import attrs"))) == ["attrs.py"]


def test_editable_modules_elsewhere_are_part_of_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    main = write("plugins/mine.py", "import my_library.helper")
    for name in ("src/my_library/__init__.py", "src/my_library/helper.py", "src/my_library/unrelated.py"):
        write(name)
    monkeypatch.syspath_prepend(str(main.parents[1] / "src"))
    assert names(read_plugin(main)) == ["mine.py", "my_library/__init__.py", "my_library/helper.py"]


def test_an_imported_installed_plugin_changes_the_fingerprint_without_its_files(write: Write) -> None:
    actual = read_plugin(write("mine.py", "from bebertlab_binarybert import Bwn"))
    assert names(actual) == ["mine.py"]
    assert list(actual.packages) == ["bebertlab_binarybert"]
    assert actual.fingerprint != read_plugin(write("mine.py", "from bebertlab_bit import Bit")).fingerprint


def test_the_fingerprint_depends_on_the_content_not_on_the_folder(write: Write) -> None:
    def fingerprint(folder: str, name: str, helper: str = "x = 1") -> str:
        write(f"{folder}/helper.py", helper)
        return read_plugin(write(f"{folder}/{name}", "import helper")).fingerprint

    assert fingerprint("here", "mine.py") == fingerprint("there", "renamed.py")
    assert fingerprint("here", "mine.py") != fingerprint("there", "mine.py", "x = 2")


def test_text_with_syntax_errors_is_left_to_the_loader(write: Write) -> None:
    assert names(read_plugin(write("mine.py", "import helper\ndef f(:"))) == ["mine.py"]


def test_the_text_of_an_installed_plugin_is_that_of_its_whole_distribution(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("their_plugin/__init__.py", "import their_core, shared_code")
    write("their_plugin/parts.py")
    write("their_core.py")
    write("shared_code.py")
    write("table.bin")
    write("theirs-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    write("theirs-1.0.dist-info/entry_points.txt", "[bebertlab.test]\ntheirs = their_plugin\n")
    record = "their_plugin/__init__.py,,\ntheir_core.py,,\n{},3\ntheirs-1.0.dist-info/RECORD,,\n"
    write("theirs-1.0.dist-info/RECORD", record.format("table.bin,sha256=aaa"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("bebertlab.registry.plugin_text.is_installed", lambda path: path.name != "shared_code.py")

    def text() -> str:
        (point,) = importlib.metadata.entry_points(group="bebertlab.test")
        return installed_text(point)

    known = {text()}
    for name in ("their_plugin/parts.py", "their_core.py", "shared_code.py"):
        write(name, "changed = True")
        known.add(text())
    write("theirs-1.0.dist-info/RECORD", record.format("table.bin,sha256=bbb"))
    known.add(text())
    assert len(known) == 5
    write("theirs-1.0.dist-info/RECORD", record.format("table.bin,sha256=bbb,3\nremoved.bin,sha256=ccc"))
    known.add(text())  # whichever implementation of importlib.metadata is in use
    assert len(known) == 5
    assert "their_core" not in sys.modules
