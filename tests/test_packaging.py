"""The metadata of the package, and the versions that it is tested with."""

from __future__ import annotations

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEPENDENCIES = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]
GROUPS = [Requirement(text) for group in PYPROJECT["dependency-groups"].values() for text in group]
TOX = ConfigParser(interpolation=None)
TOX.read(ROOT / "tox.ini", encoding="utf-8")
TOX_REQUIREMENT = Requirement(TOX["tox"]["requires"])


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("requirement", [*DEPENDENCIES, *GROUPS, TOX_REQUIREMENT], ids=str)
def test_every_requirement_has_a_tested_version(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    (pin,) = [pin for pin in pins() if canonicalize_name(pin.name) == name]
    (version,) = pin.specifier
    assert version.operator == "=="
    assert requirement.specifier.contains(version.version)


def test_pins_are_exact_and_independent_of_the_machine() -> None:
    assert [str(pin) for pin in pins() if not re.fullmatch(r"==[0-9.]+", str(pin.specifier))] == []


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=str)
def test_dependencies_have_a_lower_bound_and_other_bounds_only_with_a_comment(requirement: Requirement) -> None:
    operators = [specifier.operator for specifier in requirement.specifier]
    assert ">=" in operators
    lines = [line.strip() for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()]
    (position,) = [number for number, line in enumerate(lines) if line == f'"{requirement}",']
    assert len(operators) == 1 or lines[position - 1].startswith("#")


def test_supported_python_versions_are_contiguous() -> None:
    classifiers = [text.rpartition(" ")[2] for text in PYPROJECT["project"]["classifiers"] if ":: Python :: 3" in text]
    minors = [Version(text).minor for text in classifiers]
    assert PYPROJECT["project"]["requires-python"] == f">={classifiers[0]}"
    assert minors == list(range(minors[0], minors[0] + len(minors)))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_commands_that_install_take_the_tested_versions(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.removeprefix("$ ").startswith("pip install")]
    assert commands
    assert [line for line in commands if "-c constraints.txt" not in line] == []


def test_every_tox_environment_takes_the_tested_versions() -> None:
    assert TOX["testenv"]["constraints"] == "{tox_root}{/}constraints.txt"
    others = [name for name in TOX.sections() if name.startswith("testenv:")]
    assert [name for name in others if "constraints" in TOX[name]] == []
