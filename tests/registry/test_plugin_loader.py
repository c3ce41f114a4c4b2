from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.registry.plugin_loader import load_file

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Remove modules and folders of plugins after each test."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file; one that was there keeps its time."""

    def write_file(name: str, text: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        state = path.stat() if path.exists() else None
        path.write_text(text)
        if state is not None:
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        return path

    return write_file


def test_modules_next_to_a_plugin_can_be_imported(write: Write) -> None:
    main = write("mine.py", "from helper import value\nimport parts.deep\nfrom lib.thing import other")
    write("helper.py", "value = 3")
    for name in ("parts/__init__.py", "parts/deep.py"):
        write(name)
    write("lib/thing.py", "other = 4")
    module, text = load_file(main)
    assert (module.value, module.other) == (3, 4)
    assert len(text.files) == 5
    assert str(main.parent) not in sys.path


def test_the_same_text_again_is_the_same_module(write: Write) -> None:
    main = write("mine.py", "import helper")
    write("helper.py")
    assert load_file(main)[0] is load_file(main)[0]


@pytest.mark.parametrize("changed", ["mine.py", "helper.py", "inner.py"])
def test_the_text_on_disk_runs_even_if_a_file_keeps_its_time_and_size(write: Write, changed: str) -> None:
    texts = {
        "mine.py": "from helper import text as theirs\ntext = 'a' + theirs",
        "helper.py": "import inner\ntext = 'a' + inner.text",
        "inner.py": "text = 'a'",
    }
    for name, text in texts.items():
        write(name, text)
    main = write("mine.py", texts["mine.py"])
    first = load_file(main)
    assert first[0].text == "aaa"
    write(changed, texts[changed].replace("'a'", "'b'"))
    second = load_file(main)
    assert sorted(second[0].text) == ["a", "a", "b"]
    assert second[1].fingerprint != first[1].fingerprint
    write(changed, texts[changed])
    assert load_file(main)[0].text == "aaa"


def test_a_module_imported_later_runs_the_text_of_the_fingerprint(write: Write) -> None:
    main = write("mine.py", "def value():\n    import helper\n    return helper.value")
    write("helper.py", "value = 1")
    module, text = load_file(main)
    assert [file.name for file in text.files] == ["mine.py", "helper.py"]
    write("helper.py", "value = 2")
    assert module.value() == 1
    assert load_file(main)[0].value() == 2


def test_modules_from_folders_on_a_changed_sys_path_are_included(write: Write) -> None:
    add = "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent / 'code'))\n"
    main = write("mine.py", f"{add}import importlib\nhelper = importlib.import_module('hel' + 'per')")
    write("code/helper.py", "import inner\nvalue = 1")
    write("code/inner.py", "value = 1")
    module, text = load_file(main)
    assert [file.name for file in text.files] == ["mine.py", "code/helper.py", "code/inner.py"]
    write("code/inner.py", "value = 22")
    again, changed = load_file(main)
    assert changed.fingerprint != text.fingerprint
    assert again is not module
    assert again.helper.inner.value == 22


def test_a_package_is_loaded_with_its_submodules(write: Write) -> None:
    main = write("parts/__init__.py", "from .deep import thing\nfrom parts import other\nvalue = thing.value")
    write("parts/deep/__init__.py")
    write("parts/deep/thing.py", "from .. import other\nvalue = other.value")
    write("parts/other.py", "value = 5")
    assert load_file(main)[0].value == 5
    write("parts/other.py", "value = 6")
    assert load_file(main)[0].value == 6


def test_two_plugins_may_share_a_module_but_not_only_its_name(write: Write) -> None:
    first, second = write("one/a.py", "import helper"), write("two/b.py", "import helper")
    write("one/helper.py", "value = 1")
    write("two/helper.py", "value = 1")
    _, text = load_file(first)
    assert load_file(second, [text])[0].helper.value == 1
    write("two/helper.py", "value = 2")
    with pytest.raises(
        UserError, match=r"it imports 'helper' from .*two.helper\.py, and plugin .*a\.py imports another one"
    ):
        load_file(second, [text])
    assert load_file(second)[0].helper.value == 2  # valid on its own


def test_a_module_of_another_plugin_is_part_of_the_importing_plugin(write: Write) -> None:
    write("one/helper.py", "value = 1")
    load_file(write("one/a.py", "import helper"))
    module, text = load_file(write("two/b.py", "import helper"))
    assert module.helper.value == 1
    assert [file.name for file in text.files] == ["b.py", "helper.py"]


def test_code_that_is_run_by_its_path_may_be_imported_as_well(write: Write) -> None:
    run = "import runpy\nrunpy.run_path(__file__.replace('mine.py', 'helper.py'))\n"
    write("helper.py", "value = 1")
    write("other.py", "import helper, mine\nvalue = helper.value")
    module, text = load_file(
        write("mine.py", f"NAME = 'helper.py', 'odd\\0.py', {'x' * 300!r} + '.py'\n{run}import other")
    )
    assert module.other.value == 1
    assert sorted(file.name for file in text.files) == ["helper.py", "mine.py", "other.py"]


def test_of_equal_folder_names_the_one_next_to_the_plugin_is_imported(write: Write) -> None:
    for name in ("one", "two"):
        write(f"{name}/lib/helper.py", f"value = '{name}'")
        assert load_file(write(f"{name}/mine.py", "from lib import helper"))[0].helper.value == name


def test_a_file_that_is_not_python_is_refused(write: Write) -> None:
    with pytest.raises(UserError, match=r"mine\.txt is not a Python file"):
        load_file(write("mine.txt"))


def test_a_plugin_that_fails_leaves_no_module_in_sys_modules(write: Write) -> None:
    before = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        load_file(write("mine.py", "1 / 0"))
    assert set(sys.modules) == before


def test_compiled_code_next_to_a_plugin_is_part_of_it(write: Write) -> None:
    from importlib.machinery import EXTENSION_SUFFIXES

    main = write("mine.py", "def late():\n    import fast")
    write(f"fast{EXTENSION_SUFFIXES[0]}", "machine code")
    _, text = load_file(main)
    assert [file.module for file in text.files] == [None, "fast"]
    with pytest.raises(ImportError):
        load_file(main)[0].late()
