"""The nine GLUE tasks, from a local folder or from the hub.

Source: GLUE, arXiv:1804.07461; columns and label order as in the hub's `nyu-mll/glue`.
"""

from __future__ import annotations

from bebertlab.api import TaskOptions, hookimpl
from bebertlab_glue.options import Glue

__all__ = ["Glue", "bebertlab_tasks"]


@hookimpl
def bebertlab_tasks() -> list[type[TaskOptions]]:
    """The task `glue`."""
    return [Glue]
