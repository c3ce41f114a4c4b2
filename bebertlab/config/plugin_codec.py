"""The codec of the installed plugins and of files that a caller names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.locations import expand_home
from bebertlab.registry.manager import load_plugins


def plugin_codec(plugins: Iterable[str | os.PathLike[str]] = ()) -> OptionsCodec:
    """The codec of all installed plugins and of `plugins`, files of further ones.

    Raises:
        UserError: a file cannot be loaded, or `plugins` is one file instead of several.
    """
    if isinstance(plugins, str | os.PathLike):
        raise UserError(f"plugins is {os.fspath(plugins)!r}; expected a list of files, even for one")
    loaded = load_plugins([Path(expand_home(os.fspath(file))) for file in plugins])
    for failure in loaded.failures:
        if failure.source.file is not None:
            raise UserError(str(failure))
    return OptionsCodec(loaded.registry)
