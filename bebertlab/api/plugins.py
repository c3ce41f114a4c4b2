"""What every plugin needs: the mark of a hook, the root of options, and errors."""

from __future__ import annotations

from bebertlab.errors import SetupError, UserError, suggestion, unknown
from bebertlab.files import check_file
from bebertlab.interfaces.options import Options
from bebertlab.locations import environment_folder
from bebertlab.network import reach_hub
from bebertlab.registry.hookspecs import hookimpl

__all__ = [
    "Options",
    "SetupError",
    "UserError",
    "check_file",
    "environment_folder",
    "hookimpl",
    "reach_hub",
    "suggestion",
    "unknown",
]
