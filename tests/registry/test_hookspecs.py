from __future__ import annotations

import inspect

import pluggy
import pytest

from bebertlab.interfaces.events import StageStarted
from bebertlab.interfaces.roles import ROLES
from bebertlab.registry import hookspecs
from bebertlab.registry.hookspecs import hook_specifications, hookimpl, plugin_manager


def test_every_hook_is_documented_and_known_to_the_manager() -> None:
    specifications = hook_specifications()
    assert list(specifications)[: len(ROLES)] == [role.hook for role in ROLES]
    observers = [name for name in vars(hookspecs) if name.startswith("bebertlab_")]
    assert list(specifications)[len(ROLES) :] == observers
    assert all(inspect.getdoc(specification) for specification in specifications.values())
    assert all(hasattr(plugin_manager().hook, name) for name in specifications)


def test_an_observer_may_take_a_subset_of_the_arguments_of_a_hook() -> None:
    stages: list[str] = []

    class Observer:
        @hookimpl
        def bebertlab_stage_started(self, event: StageStarted) -> None:
            stages.append(event.stage)

    manager = plugin_manager()
    manager.register(Observer())
    manager.hook.bebertlab_stage_started(event=StageStarted(stage="teacher", stage_kind="finetune", key="k"))
    assert stages == ["teacher"]


@pytest.mark.parametrize("hook", ["bebertlab_quantizers", "bebertlab_stage_started"])
def test_an_argument_that_a_hook_does_not_have_is_refused(hook: str) -> None:
    @hookimpl
    def implementation(model: object) -> None: ...

    with pytest.raises(
        pluggy.PluginValidationError, match="'model'} are declared in the hookimpl but can not be found"
    ):
        plugin_manager().register(type("Plugin", (), {hook: staticmethod(implementation)})())
