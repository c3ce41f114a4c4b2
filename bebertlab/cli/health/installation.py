"""The installation: Python, packages, plugins, data."""

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
_AGAIN = "run `pip install -e .` in the source folder"


def python() -> Iterable[Finding]:
    """The version of Python against the one that is asked for."""
    from packaging.specifiers import SpecifierSet

    found, wanted = platform.python_version(), _wanted().python
    if SpecifierSet(wanted).contains(found, prereleases=True):
        yield Finding("python", Mark.OK, f"{found} ({wanted})")
    else:
        yield Finding("python", Mark.FAIL, found, f"use Python {wanted}")


def packages() -> Iterable[Finding]:
    """Every required package against the range that is asked for."""
    from packaging.requirements import Requirement

    wanted = _wanted()
    if wanted.installed is None:
        yield Finding(_DISTRIBUTION, Mark.WARN, "not installed, its plugins are not known", _AGAIN)
    elif wanted.installed != bebertlab.__version__:
        text = f"{bebertlab.__version__}, installed as {wanted.installed}"
        yield Finding(_DISTRIBUTION, Mark.WARN, text, _AGAIN)
    else:
        yield Finding(_DISTRIBUTION, Mark.OK, bebertlab.__version__)
    for requirement in sorted(map(Requirement, wanted.packages), key=lambda one: one.name.lower()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)


def _package(requirement: Requirement) -> Finding:
    hint = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        found = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(requirement.name, Mark.FAIL, "not installed", hint)
    if requirement.specifier.contains(found, prereleases=True):
        return Finding(requirement.name, Mark.OK, f"{found} ({requirement.specifier or 'any'})")
    return Finding(requirement.name, Mark.FAIL, found, hint)


def plugins(loaded: Plugins) -> Iterable[Finding]:
    """What was loaded, what failed, and what an old installation does not know."""
    from bebertlab.registry.manager import DISABLE, forgotten_entry_points

    names = ", ".join(source.plugin for source in loaded.loaded) or "none"
    parts = len(loaded.registry.all())
    yield Finding("plugins", Mark.OK, f"{names} ({parts} parts)")
    for failure in loaded.failures:
        installed = f"mend or uninstall it, or leave it out by {DISABLE}={failure.source.plugin}"
        hint = installed if failure.source.file is None else f"mend {failure.source.file}, or leave out its -p"
        yield Finding(f"plugin {failure.source.plugin}", Mark.FAIL, str(failure), hint)
    if loaded.disabled:
        yield Finding("plugins left out", Mark.WARN, ", ".join(loaded.disabled), f"unset {DISABLE} to load them")
    if forgotten := forgotten_entry_points():
        text = f"{', '.join(forgotten)} of pyproject.toml are not in the installed metadata"
        yield Finding("plugins not installed", Mark.WARN, text, _AGAIN)


def data(variable: str = "BEBERTLAB_GLUE") -> Iterable[Finding]:
    """The folder of GLUE data, where one is named."""
    folder = environment_folder(variable)
    if folder is None:
        yield Finding("GLUE data", Mark.OK, f"no folder named by {variable}; generated tasks need none")
        return
    tasks = sorted({file.parent.name for file in folder.glob("*/*.parquet")})
    if tasks:
        yield Finding("GLUE data", Mark.OK, f"{folder}: {', '.join(tasks)}")
    else:
        hint = f"{variable} should name a folder with <task>/<split>.parquet"
        yield Finding("GLUE data", Mark.WARN, f"{folder}: no parquet files", hint)


@frozen
class _Wanted:
    """What this version asks for."""

    python: str
    packages: tuple[str, ...]
    installed: str | None  #: version of the installed distribution


def _wanted() -> _Wanted:
    """From pyproject.toml in a source folder, whose installed metadata may be old; else from the metadata."""
    try:
        found = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        found = None
    installed = found.version if found else None
    source = Path(bebertlab.__file__).parents[1] / "pyproject.toml"
    if source.is_file():
        project = tomllib.loads(source.read_text(encoding="utf-8"))["project"]
        return _Wanted(project["requires-python"], tuple(project["dependencies"]), installed)
    if found is None:
        raise SetupError(f"{_DISTRIBUTION} is neither installed nor a source folder; pip install {_DISTRIBUTION}")
    return _Wanted(str(found.metadata["Requires-Python"]), tuple(found.requires or ()), installed)
