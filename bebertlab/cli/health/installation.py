"""Checks of the installation: Python, packages, plugins, data."""

from __future__ import annotations

import importlib.metadata
import platform
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

import bebertlab
from bebertlab.cli.health.finding import Finding, Mark
from bebertlab.errors import SetupError
from bebertlab.locations import environment_folder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from bebertlab.registry.manager import Plugins

_DISTRIBUTION = "bebertlab"
_REINSTALL = "run `pip install -e .` in the source folder"


def python() -> Iterable[Finding]:
    """Compare the version of Python with the required one."""
    from packaging.specifiers import SpecifierSet

    version, required = platform.python_version(), _requirements().python
    if SpecifierSet(required).contains(version, prereleases=True):
        yield Finding("python", Mark.OK, f"{version} ({required})")
    else:
        yield Finding("python", Mark.FAIL, version, f"use Python {required}")


def packages() -> Iterable[Finding]:
    """Compare the version of every required package with its required range."""
    from packaging.requirements import Requirement

    required = _requirements()
    if required.installed is None:
        yield Finding(_DISTRIBUTION, Mark.WARN, "not installed, so its plugins are unknown", _REINSTALL)
    elif required.installed != bebertlab.__version__:
        text = f"{bebertlab.__version__}, installed as {required.installed}"
        yield Finding(_DISTRIBUTION, Mark.WARN, text, _REINSTALL)
    else:
        yield Finding(_DISTRIBUTION, Mark.OK, bebertlab.__version__)
    for requirement in sorted(map(Requirement, required.packages), key=lambda package: package.name.lower()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)


def _package(requirement: Requirement) -> Finding:
    hint = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(requirement.name, Mark.FAIL, "not installed", hint)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(requirement.name, Mark.OK, f"{version} ({requirement.specifier or 'any'})")
    return Finding(requirement.name, Mark.FAIL, version, hint)


def plugins(loaded: Plugins) -> Iterable[Finding]:
    """The loaded plugins, those that failed, and those missing in the installed metadata."""
    from bebertlab.registry.manager import DISABLE, forgotten_entry_points

    names = ", ".join(source.plugin for source in loaded.loaded) or "none"
    parts = len(loaded.registry.all())
    yield Finding("plugins", Mark.OK, f"{names} ({parts} parts)")
    for failure in loaded.failures:
        installed = f"fix or uninstall it, or disable it with {DISABLE}={failure.source.plugin}"
        hint = installed if failure.source.file is None else f"fix {failure.source.file}, or remove its -p"
        yield Finding(f"plugin {failure.source.plugin}", Mark.FAIL, str(failure), hint)
    if loaded.disabled:
        yield Finding("disabled plugins", Mark.WARN, ", ".join(loaded.disabled), f"unset {DISABLE} to load them")
    if forgotten := forgotten_entry_points():
        text = f"{', '.join(forgotten)} of pyproject.toml are not in the installed metadata"
        yield Finding("plugins not installed", Mark.WARN, text, _REINSTALL)


def data(variable: str = "BEBERTLAB_GLUE") -> Iterable[Finding]:
    """The folder of GLUE data, if the variable is set."""
    folder = environment_folder(variable)
    if folder is None:
        yield Finding("GLUE data", Mark.OK, f"{variable} is not set; generated tasks do not need it")
        return
    tasks = sorted({file.parent.name for file in folder.glob("*/*.parquet")})
    if tasks:
        yield Finding("GLUE data", Mark.OK, f"{folder}: {', '.join(tasks)}")
    else:
        hint = f"{variable} must be a folder with <task>/<split>.parquet"
        yield Finding("GLUE data", Mark.WARN, f"{folder}: no parquet files", hint)


@frozen
class _Requirements:
    """What this version of bebertlab requires."""

    python: str
    packages: tuple[str, ...]
    installed: str | None  #: version of the installed distribution


def _requirements() -> _Requirements:
    """The requirements in pyproject.toml of a source folder, whose metadata may be old; otherwise in the metadata."""
    try:
        distribution = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        distribution = None
    installed = distribution.version if distribution else None
    source = Path(bebertlab.__file__).parents[1] / "pyproject.toml"
    if source.is_file():
        project = tomllib.loads(source.read_text(encoding="utf-8"))["project"]
        return _Requirements(project["requires-python"], tuple(project["dependencies"]), installed)
    if distribution is None:
        raise SetupError(f"{_DISTRIBUTION} is neither installed nor a source folder; pip install {_DISTRIBUTION}")
    return _Requirements(str(distribution.metadata["Requires-Python"]), tuple(distribution.requires or ()), installed)
