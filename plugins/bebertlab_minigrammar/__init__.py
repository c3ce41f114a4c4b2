"""Generated tasks: small grammars of English-like sentences, for studies that run offline in minutes.

Scores on them compare methods on generated sentences; they do not apply to English.
"""

from __future__ import annotations

from bebertlab.api import TaskOptions, hookimpl
from bebertlab_minigrammar.options import Minigrammar

__all__ = ["Minigrammar", "bebertlab_tasks"]


@hookimpl
def bebertlab_tasks() -> list[type[TaskOptions]]:
    """The task `minigrammar`."""
    return [Minigrammar]
