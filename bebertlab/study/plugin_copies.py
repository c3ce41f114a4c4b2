"""Copies of a study's one-file plugins in its folder, so that the study runs without the originals."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bebertlab.errors import UserError
from bebertlab.registry.plugin_text import PluginText, plugin_root, read_plugin
from bebertlab.store.disk import make_folder

FOLDER = "plugins"


def copied_names(plugins: Sequence[str]) -> dict[str, str]:
    """The names of the copies of plugins below the folder of a study; plugins of one folder stay together.

    >>> list(copied_names(["/home/me/mine.py", "/lab/parts/__init__.py", "/home/me/other.py"]).values())
    ['plugins/mine.py', 'plugins/2/parts/__init__.py', 'plugins/other.py']
    """
    places = _places(map(Path, plugins))
    return {plugin: f"{places[plugin_root(Path(plugin))]}/{_name(Path(plugin))}" for plugin in plugins}


def plugin_digests(plugins: Sequence[str]) -> list[list[str]]:
    """Name and fingerprint of every plugin.

    Raises:
        UserError: a plugin imports a module whose name is ambiguous.
    """
    return [[_name(Path(plugin)), _read(Path(plugin)).fingerprint] for plugin in plugins]


def copy_plugins(texts: Sequence[PluginText], folder: Path) -> tuple[str, ...]:
    """Write the files of plugins below the folder of a study; returns their names there."""
    files = _files(texts)
    for name, content in files.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue  # the study may run from its copies
        make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    return tuple(files)


def copied_files(texts: Sequence[PluginText]) -> tuple[str, ...]:
    """Names of all files of plugins below the folder of a study."""
    return tuple(_files(texts))


def _files(texts: Sequence[PluginText]) -> dict[str, bytes]:
    places = _places(text.files[0].path for text in texts)
    files: dict[str, bytes] = {}
    for text in texts:
        place = places[plugin_root(text.files[0].path)]
        files |= {f"{place}/{file.name}": file.content for file in text.files}
    return files


def _places(plugins: Iterable[Path]) -> Mapping[Path, str]:
    """Folders of plugins to the folders of their copies: `plugins`, and for further ones `plugins/2` and so on."""
    roots = dict.fromkeys(map(plugin_root, plugins))
    return {root: FOLDER if number == 1 else f"{FOLDER}/{number}" for number, root in enumerate(roots, start=1)}


def _name(plugin: Path) -> str:
    return plugin.relative_to(plugin_root(plugin)).as_posix()


def _read(plugin: Path) -> PluginText:
    try:
        return read_plugin(plugin)
    except UserError as error:
        raise UserError(f"plugin {plugin}: {error}") from error
