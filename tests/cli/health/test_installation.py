from __future__ import annotations

import importlib.metadata
import platform
import tomllib
from pathlib import Path

import pytest

import bebertlab
from bebertlab.cli.health import installation
from bebertlab.cli.health.finding import Finding, Mark
from bebertlab.registry.manager import DISABLE, load_plugins


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source folder whose pyproject.toml can be written."""
    monkeypatch.setattr(bebertlab, "__file__", str(tmp_path / "bebertlab" / "__init__.py"))
    return tmp_path


def _project(source: Path, *dependencies: str, python: str = ">=3.11") -> None:
    listed = ", ".join(f'"{item}"' for item in dependencies)
    text = f'[project]\nrequires-python = "{python}"\ndependencies = [{listed}]\n'
    (source / "pyproject.toml").write_text(text)


def test_the_version_of_python_is_checked(source: Path) -> None:
    _project(source, python=">=3.11")
    assert list(installation.python()) == [Finding("python", Mark.OK, f"{platform.python_version()} (>=3.11)")]
    _project(source, python=">=4")
    assert list(installation.python()) == [Finding("python", Mark.FAIL, platform.python_version(), "use Python >=4")]


def test_versions_of_packages_are_checked(source: Path) -> None:
    attrs = importlib.metadata.version("attrs")
    _project(source, "pluggy>=1", "attrs>=9999,<10000", "no-such-package>=1", "gone>=1; python_version < '3'")
    ours, first, missing, last = installation.packages()
    assert ours.mark == Mark.OK
    assert first == Finding("attrs", Mark.FAIL, attrs, "pip install 'attrs<10000,>=9999'")
    assert missing == Finding("no-such-package", Mark.FAIL, "not installed", "pip install 'no-such-package>=1'")
    assert last.what == "pluggy"
    assert last.mark == Mark.OK


def test_an_old_installation_is_reported(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _project(source)
    monkeypatch.setattr(bebertlab, "__version__", "99.0")
    [finding] = installation.packages()
    assert finding.mark == Mark.WARN
    assert finding.found == f"99.0, installed as {importlib.metadata.version('bebertlab')}"
    assert "pip install -e ." in finding.hint


def test_without_a_source_folder_the_metadata_has_the_requirements(source: Path) -> None:
    names = {finding.what for finding in installation.packages()}
    assert {"torch", "pluggy", "bebertlab"} <= names


def test_all_dependencies_are_checked() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert len(list(installation.packages())) == len(project["dependencies"]) + 1


def test_failed_and_disabled_plugins_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE, ",".join(importlib.metadata.entry_points(group="bebertlab").names))
    (tmp_path / "broken.py").write_text("import no_such_module")
    findings = list(installation.plugins(load_plugins([tmp_path / "broken.py"])))
    assert [(finding.what, finding.mark) for finding in findings][:3] == [
        ("plugins", Mark.OK),
        ("plugin broken.py", Mark.FAIL),
        ("disabled plugins", Mark.WARN),
    ]
    assert "no_such_module" in findings[1].found
    assert findings[1].hint == f"fix {tmp_path / 'broken.py'}, or remove its -p"  # no variable leaves out a file
    assert findings[0].found == "none (0 parts)"


def test_missing_entry_points_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE, ",".join(importlib.metadata.entry_points(group="bebertlab").names))
    monkeypatch.setattr("bebertlab.registry.manager.forgotten_entry_points", lambda: ("new",))
    *_, last = installation.plugins(load_plugins())
    assert last.mark == Mark.WARN
    assert last.found == "new of pyproject.toml are not in the installed metadata"
    assert "pip install -e ." in last.hint


def test_the_folder_of_data_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEBERTLAB_GLUE", raising=False)
    assert next(iter(installation.data())).mark == Mark.OK
    monkeypatch.setenv("BEBERTLAB_GLUE", str(tmp_path))
    empty = next(iter(installation.data()))
    assert (empty.mark, empty.found) == (Mark.WARN, f"{tmp_path}: no parquet files")
    for task in ("rte", "cola"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "train.parquet").write_text("")
    assert next(iter(installation.data())).found == f"{tmp_path}: cola, rte"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BEBERTLAB_GLUE", "~")
    assert next(iter(installation.data())).found == f"{tmp_path}: cola, rte"
