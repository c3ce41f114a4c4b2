"""Telling observers: one that raises is named and does not stop the study, nor keep the news from the others."""

from __future__ import annotations

import logging

import pluggy

_log = logging.getLogger(__name__)


class Observers:
    """The observers among the loaded plugins."""

    def __init__(self, hook: pluggy.HookRelay) -> None:
        self._hook = hook
        self._failed: set[tuple[str, str]] = set()

    def tell(self, what: str, /, **facts: object) -> None:
        """Call the hook `bebertlab_<what>` with its arguments."""
        name = f"bebertlab_{what}"
        caller: pluggy.HookCaller = getattr(self._hook, name)
        for implementation in reversed(caller.get_hookimpls()):  # the last one that was registered first, as in pluggy
            try:
                implementation.function(*(facts[argument] for argument in implementation.argnames))
            except Exception as error:
                self._warn(implementation.plugin_name, name, error)

    def _warn(self, observer: str, hook: str, error: Exception) -> None:
        if (observer, hook) in self._failed:
            return
        self._failed.add((observer, hook))
        # pluggy names an object that was registered without a name by its address
        who = "an observer" if observer.isdecimal() else f"plugin '{observer}'"
        _log.warning("%s failed in %s: %s: %s", who, hook, type(error).__name__, error)
        _log.debug("where %s failed in %s", who, hook, exc_info=error)
