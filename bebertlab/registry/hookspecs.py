"""The hooks: when each is called and what it returns. A plugin implements any of them with `@hookimpl`.

Each role has a hook, which takes nothing and returns options classes; it is called once, when the registry is built.
The hooks of observers are called while a study or recipe runs, in the driver's process only; they return nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from bebertlab.interfaces.events import StageEvent, StudyRecord, TrialRecord
    from bebertlab.interfaces.options import Options
    from bebertlab.interfaces.roles import Role

PROJECT = "bebertlab"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bebertlab_study_started(study: StudyRecord) -> None:
    """A study starts or continues; called before any trial."""


@hookspec
def bebertlab_trial_started(study: StudyRecord, trial: TrialRecord) -> None:
    """A trial was handed to a worker; called again when it is handed out again after a kill."""


@hookspec
def bebertlab_stage_started(event: StageEvent) -> None:
    """Called before a stage runs; not called for cached stages."""


@hookspec
def bebertlab_stage_progress(event: StageEvent) -> None:
    """Called now and then while a stage runs, with `event.fraction` and `event.text`."""


@hookspec
def bebertlab_stage_finished(event: StageEvent) -> None:
    """A stage finished, or was found in the store (`event.stored`)."""


@hookspec
def bebertlab_trial_finished(study: StudyRecord, trial: TrialRecord) -> None:
    """A trial is complete or failed."""


@hookspec
def bebertlab_study_finished(study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]) -> None:
    """Nothing is left to run, or the user stopped it; `report` has the paths of the written report files."""


def hook_specifications() -> dict[str, Callable[..., Any]]:
    """Every hook by its name, those of the roles first; signature and docstring are its reference."""
    from bebertlab.interfaces.roles import ROLES  # loads torch, which `hookimpl` must not

    observers = {name: item for name, item in globals().items() if name.startswith(f"{PROJECT}_")}
    return {role.hook: _role_specification(role) for role in ROLES} | observers


def _role_specification(role: Role) -> Callable[[], Iterable[type[Options]]]:
    def specification() -> Iterable[type[Options]]:
        raise NotImplementedError  # plugins implement it

    specification.__name__ = specification.__qualname__ = role.hook
    specification.__doc__ = role.summary
    return hookspec(specification)


def plugin_manager() -> pluggy.PluginManager:
    """A manager that knows every hook and no plugin yet."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(type("Hooks", (), {**hook_specifications()}))
    return manager
