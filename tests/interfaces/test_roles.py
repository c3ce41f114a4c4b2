"""Every list of roles is derived from the table."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import frozen
from click.testing import CliRunner

from bebertlab import api
from bebertlab.cli.main import main
from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces import roles
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.roles import ROLES, Role
from bebertlab.registry.hookspecs import hook_specifications
from bebertlab.registry.manager import load_plugins

PLUGIN = """
from attrs import frozen
from bebertlab.api import ROLES, hookimpl

@frozen(kw_only=True)
class Adam(ROLES[-1].options[0]):
    "Moments of the gradient."
    kind = "adam"
    beta: float = 0.9

@hookimpl
def bebertlab_optimizers():
    return [Adam]
"""


@frozen(kw_only=True)
class OptimizerOptions(Options):
    role: ClassVar[str] = "optimizer"


OPTIMIZER = Role(hook="bebertlab_optimizers", options=(OptimizerOptions,), summary="Optimizers.", kit="check_optimizer")


@frozen(kw_only=True)
class Settings:
    optimizer: OptimizerOptions


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin of a role that was added to the table and nowhere else."""
    monkeypatch.setattr(roles, "ROLES", (*ROLES, OPTIMIZER))
    monkeypatch.setattr(api, "ROLES", (*ROLES, OPTIMIZER))
    path = tmp_path / "adam.py"
    path.write_text(PLUGIN)
    return path


def test_a_role_is_one_entry_of_the_table(plugin: Path) -> None:
    plugins = load_plugins([plugin])
    assert plugins.failures == ()
    assert plugins.registry.kinds("optimizer") == ("adam",)
    assert "adam" in [entry.kind for entry in plugins.registry.all()]
    settings = OptionsCodec(plugins.registry).load({"optimizer": {"kind": "adam", "beta": 0.5}}, Settings)
    assert settings.optimizer == plugins.registry.find("optimizer", "adam")(beta=0.5)  # type: ignore[call-arg]


def test_the_hook_of_a_new_role_is_checked_and_documented(plugin: Path) -> None:
    specification = hook_specifications()["bebertlab_optimizers"]
    assert specification.__doc__ == "Optimizers."
    assert not inspect.signature(specification).parameters
    plugin.write_text(PLUGIN.replace("bebertlab_optimizers", "bebertlab_optimizer"))
    (failure,) = load_plugins([plugin]).failures
    assert failure.error.startswith("unknown hook 'bebertlab_optimizer'; did you mean 'bebertlab_optimizers'?")
    plugin.write_text(PLUGIN.replace("[Adam]", "[dict]"))
    (failure,) = load_plugins([plugin]).failures
    assert failure.error == "builtins.dict is not a subclass of OptimizerOptions"


def test_the_command_line_lists_a_new_role(plugin: Path) -> None:
    result = CliRunner().invoke(main, ["-p", str(plugin), "plugin", "list", "--role", "optimizer"])
    assert result.stdout.splitlines()[1].split(maxsplit=3)[:3] == ["optimizer", "adam", "adam.py"]
    result = CliRunner().invoke(main, ["-p", str(plugin), "plugin", "show", "optimizer:adam"])
    assert result.stdout.startswith("optimizer 'adam', revision 1")


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_api_offers_the_classes_of_every_role(role: Role) -> None:
    assert [getattr(api, cls.__name__) for cls in role.options] == [*role.options]
    assert {cls.role for cls in role.options} == {role.name}
    assert role.hook.startswith("bebertlab_")
    assert role.summary.endswith(".")


def test_every_abstract_class_of_options_is_in_the_table_once() -> None:
    listed = [cls for role in ROLES for cls in role.options]
    abstract = [cls for cls in vars(api).values() if inspect.isclass(cls) and Options in cls.__bases__]
    assert sorted(map(repr, listed)) == sorted(map(repr, abstract))
