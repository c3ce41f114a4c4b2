"""Required by every plugin: `hookimpl`, the base class of options, the table of roles, and errors."""

from __future__ import annotations

from bebertlab.errors import SetupError, UserError, suggestion, unknown
from bebertlab.files import check_file
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.roles import ROLES, Role
from bebertlab.locations import environment_folder
from bebertlab.network import reach_hub
from bebertlab.registry.hookspecs import hookimpl

__all__ = [
    "ROLES",
    "Options",
    "Role",
    "SetupError",
    "UserError",
    "check_file",
    "environment_folder",
    "hookimpl",
    "reach_hub",
    "suggestion",
    "unknown",
]
