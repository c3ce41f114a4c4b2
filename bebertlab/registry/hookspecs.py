"""The hooks: when each is called and what it returns. A plugin implements any of them with `@hookimpl`.

Each role has a hook, which takes nothing and returns options classes; it is called once, when the registry is built.
The hooks of observers return nothing, take any of the listed arguments, and are called in the process of the command
(never in a worker), for both `recipe run` and `study run`. An observer that raises is named in a warning, and stops
neither the run nor the other observers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from bebertlab.interfaces.events import StageFinished, StageProgress, StageStarted, StudyRecord, TrialRecord
    from bebertlab.interfaces.options import Options
    from bebertlab.interfaces.roles import Role

PROJECT = "bebertlab"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bebertlab_study_started(study: StudyRecord) -> None:
    """Called once, before any trial, when a study starts or continues."""


@hookspec
def bebertlab_trial_started(study: StudyRecord, trial: TrialRecord) -> None:
    """Called when a trial is given to a worker, and again if it starts over because its worker was killed."""


@hookspec
def bebertlab_stage_started(event: StageStarted) -> None:
    """Called before a stage runs; not called for cached stages."""


@hookspec
def bebertlab_stage_progress(event: StageProgress) -> None:
    """Called while a stage runs.

    At most twice a second with `event.fraction` and `event.text` alone, and for each report with `event.values`, such
    as the training loss and the score on the select split, with their `event.step` and `event.epoch`.
    """


@hookspec
def bebertlab_stage_finished(event: StageFinished) -> None:
    """Called when a stage finished, or was found in the store (`event.stored`)."""


@hookspec
def bebertlab_trial_finished(study: StudyRecord, trial: TrialRecord) -> None:
    """Called when a trial is complete or failed."""


@hookspec
def bebertlab_study_finished(study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]) -> None:
    """Called when nothing is left to run or the user interrupts; `report` has the paths of the report's files."""


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
