"""Notifying the observers among the loaded plugins; one that raises stops neither the run nor the other observers."""

from __future__ import annotations

import logging
from pathlib import Path

import pluggy

from bebertlab.interfaces.events import StageEvent, StageProgress, StageStarted, StudyRecord, TrialRecord

_log = logging.getLogger(__name__)


class Observers:
    """Calls the observer hooks of `hookspecs.py`.

    An observer that raises is named once in a warning; it is called again at the next event.
    """

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._manager = manager
        self._failed: set[str] = set()

    def study_started(self, study: StudyRecord) -> None:
        """A study starts, or continues."""
        self._call("bebertlab_study_started", study=study)

    def trial_started(self, study: StudyRecord, trial: TrialRecord) -> None:
        """A trial was given to a worker."""
        self._call("bebertlab_trial_started", study=study, trial=trial)

    def stage(self, event: StageEvent) -> None:
        """A stage started, reports progress, or finished."""
        if isinstance(event, StageStarted):
            self._call("bebertlab_stage_started", event=event)
        elif isinstance(event, StageProgress):
            self._call("bebertlab_stage_progress", event=event)
        else:
            self._call("bebertlab_stage_finished", event=event)

    def trial_finished(self, study: StudyRecord, trial: TrialRecord) -> None:
        """A trial is complete or failed."""
        self._call("bebertlab_trial_finished", study=study, trial=trial)

    def study_finished(self, study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[Path, ...]) -> None:
        """The study ends, or was interrupted; `report` are the files of the report."""
        self._call("bebertlab_study_finished", study=study, trials=trials, report=tuple(map(str, report)))

    def _call(self, hook: str, **arguments: object) -> None:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        for implementation in reversed(caller.get_hookimpls()):  # pluggy calls the last registered one first
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except (Exception, SystemExit) as error:  # only an interrupt of the user ends the command
                self._warn(implementation, hook, error)

    def _warn(self, implementation: pluggy.HookImpl, hook: str, error: Exception | SystemExit) -> None:
        name = implementation.plugin_name
        if name.isdecimal():  # pluggy names an object that was registered without a name by its address
            observer = f"observer {type(implementation.plugin).__name__}"
        else:
            observer = f"plugin '{name.rpartition(':')[2]}'"
        _log.debug("%s failed in %s", observer, hook, exc_info=error)
        if name not in self._failed:
            self._failed.add(name)
            _log.warning("%s failed in %s: %s: %s", observer, hook, type(error).__name__, error)
