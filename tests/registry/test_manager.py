from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.events import StageStarted
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.registry.manager import DISABLE, GROUP, Plugins, forgotten_entry_points, load_plugins

HEAD = """
from __future__ import annotations
from attrs import frozen
from bebertlab.api import QuantSpec, SchemeOptions, hookimpl

@frozen(kw_only=True)
class Mine(SchemeOptions):
    kind = "mine"
    bits: int = 1

    def spec(self) -> QuantSpec:
        return QuantSpec()
"""
GOOD = HEAD + "\n@hookimpl\ndef bebertlab_schemes():\n    return [Mine]\n"

Install = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _no_shipped_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the shipped plugins: these tests install others."""
    monkeypatch.setenv(DISABLE, ",".join(importlib.metadata.entry_points(group=GROUP).names))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one plugin module of the same name."""

    def install(name: str, text: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[bebertlab]\n{name} = {name}\n")
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def only_error(plugins: Plugins) -> str:
    (failure,) = plugins.failures
    return str(failure)


def test_a_file_is_a_plugin_with_a_fingerprint_of_its_text(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    first = load_plugins([path])
    entry = first.registry.entry(first.registry.find("scheme", "mine"))
    assert (entry.plugin, entry.distribution, entry.source.file) == ("mine.py", None, path)
    path.write_text(GOOD + "# changed\n")
    changed = load_plugins([path])
    assert changed.registry.entry(changed.registry.find("scheme", "mine")).fingerprint != entry.fingerprint
    assert changed.registry.find("scheme", "mine") is not entry.cls


def test_the_same_file_again_gives_the_same_classes(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    item, two = load_plugins([path]), load_plugins([path, path])
    assert item.registry.find("scheme", "mine") is two.registry.find("scheme", "mine")
    assert two.files == (path,)


def test_two_files_of_one_name_are_separate_plugins(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", GOOD.replace('"mine"', '"other"'))
    assert load_plugins([write(tmp_path, GOOD), other]).registry.kinds("scheme") == ("mine", "other")


def test_a_missing_file_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.py does not exist"):
        load_plugins([tmp_path / "nowhere.py"])


def test_an_installed_plugin_is_loaded_and_can_be_disabled(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("distmine", GOOD)
    plugins = load_plugins()
    assert plugins.registry.entry(plugins.registry.find("scheme", "mine")).distribution == "distmine 1.0"
    monkeypatch.setenv(DISABLE, f"{os.environ[DISABLE]}, distmine")
    assert load_plugins().registry.kinds("scheme") == ()
    assert "distmine" in load_plugins().disabled


def test_an_installed_plugin_that_is_not_shipped_is_identified_by_its_text(install: Install, tmp_path: Path) -> None:
    def fingerprint() -> str | None:
        registry = load_plugins().registry
        return registry.entry(registry.find("scheme", "mine")).fingerprint

    install("disttext", GOOD)
    before = fingerprint()
    assert str(before).startswith("disttext 1.0 ")
    (tmp_path / "disttext.py").write_text(GOOD + "# changed\n")
    assert fingerprint() != before


def test_shipped_plugins_are_identified_by_their_revisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DISABLE)
    assert {entry.fingerprint for entry in load_plugins().registry.all()} == {None}


def test_the_files_that_a_plugin_imports_are_part_of_its_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "import helper_of_mine\n")
    write(tmp_path, "value = 1", "helper_of_mine.py")
    before = load_plugins([path])
    write(tmp_path, "value = 2", "helper_of_mine.py")
    after = load_plugins([path])
    kinds = [plugins.registry.entry(plugins.registry.find("scheme", "mine")) for plugins in (before, after)]
    assert kinds[0].fingerprint != kinds[1].fingerprint
    assert kinds[1].source.text is not None
    assert [file.name for file in kinds[1].source.text.files] == ["mine.py", "helper_of_mine.py"]


def test_plugins_that_import_different_modules_of_the_same_name_are_not_both_loaded(tmp_path: Path) -> None:
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f"value = '{folder}'", "helper_of_both.py")
        text = GOOD.replace('"mine"', f'"{folder}"') + "import helper_of_both\n"
        paths.append(write(tmp_path / folder, text, f"{folder}.py"))
    plugins = load_plugins(paths)
    assert plugins.registry.kinds("scheme") == ("one",)
    assert "it imports 'helper_of_both' from" in only_error(plugins)


def test_a_folder_is_refused_as_a_plugin_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder; give a file in it, such as its __init__\.py"):
        load_plugins([tmp_path])


def test_a_plugin_that_fails_to_import_is_named_and_others_are_loaded(install: Install, tmp_path: Path) -> None:
    install("distbroken", "import surely_not_there")
    plugins = load_plugins([write(tmp_path, GOOD)])
    assert plugins.registry.kinds("scheme") == ("mine",)
    assert "'distbroken' (distbroken 1.0) failed: ModuleNotFoundError: No module named" in only_error(plugins)
    assert "import surely_not_there" in plugins.failures[0].traceback
    with pytest.raises(UserError, match=r"unknown scheme 'broken'.*\n.*distbroken"):
        plugins.registry.find("scheme", "broken")


def test_the_later_of_two_plugins_with_one_kind_fails(install: Install, tmp_path: Path) -> None:
    install("distfirst", GOOD)
    plugins = load_plugins([write(tmp_path, GOOD)])
    assert plugins.registry.entry(plugins.registry.find("scheme", "mine")).plugin == "distfirst"
    assert "plugin 'mine.py'" in only_error(plugins)
    assert "scheme 'mine'" in only_error(plugins)
    assert "already registered by plugin 'distfirst'" in only_error(plugins)


def test_a_kind_of_a_shipped_plugin_cannot_be_replaced(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE, os.environ[DISABLE].replace("binarybert", ""))
    install("aaa", GOOD.replace('"mine"', '"binarybert"'))
    plugins = load_plugins()
    assert plugins.registry.entry(plugins.registry.find("scheme", "binarybert")).plugin == "binarybert"
    assert only_error(plugins).startswith("plugin 'aaa'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("bebertlab_schemes", "bebertlab_scheme"), "unknown hook 'bebertlab_scheme'; did you mean"),
        (GOOD.replace("@hookimpl\n", ""), "'bebertlab_schemes' is not marked as a hook; put @hookimpl above it"),
        (HEAD, "it implements no hook"),
        (GOOD.replace("bebertlab_schemes", "bebertlab_losses"), "Mine is not a subclass of LossOptions"),
        (GOOD.replace("[Mine]", "Mine"), "it must return a list of options classes"),
        (GOOD.replace("[Mine]", "[Mine, Mine]"), "scheme 'mine'"),
        (GOOD.replace("[Mine]", "1 / 0"), "ZeroDivisionError: division by zero"),
        (GOOD.replace("schemes()", "schemes(model)"), "'model'} are declared in the hookimpl but can not be found"),
        (GOOD + "raise SystemExit(0)", "SystemExit"),
        ("def f(:", "SyntaxError: invalid syntax (mine.py, line 1)"),
    ],
)
def test_every_failure_is_named_and_does_not_affect_other_plugins(tmp_path: Path, text: str, message: str) -> None:
    good = write(tmp_path, GOOD.replace('"mine"', '"good"'), "good.py")
    plugins = load_plugins([write(tmp_path, text), good])
    assert message in only_error(plugins)
    assert plugins.registry.kinds("scheme") == ("good",)
    assert len(plugins._manager.hook.bebertlab_schemes.get_hookimpls()) == 1
    assert plugins.files == (good, tmp_path / "mine.py")


class Misspelt:
    @hookimpl
    def bebertlab_stage_start(self, event: StageStarted) -> None: ...


def test_a_misspelt_observer_hook_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'bebertlab_stage_started'"):
        load_plugins().observe(Misspelt())


def test_the_installed_metadata_lists_every_entry_point_of_the_project() -> None:
    assert forgotten_entry_points() == ()
