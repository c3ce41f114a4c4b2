"""Loading one-file plugins: what runs is the text that was read and hashed, that of the modules they import included.

Python itself would take compiled code from `__pycache__` where size and time of a file did not change, and would not
find the modules beside a plugin at all.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from bebertlab.errors import UserError
from bebertlab.registry.plugin_text import PluginFile, PluginText, is_installed, read_plugin

_PREFIX = "bebertlab_file_"


def load_file(main: Path, others: Sequence[PluginText] = ()) -> tuple[ModuleType, PluginText]:
    """The module of a one-file plugin and its text; the same text again gives the same module.

    `others` are the plugins that are used together with it.

    Raises:
        UserError: it is no Python file, or a module that it imports has the name of another one.
    """
    if main.suffix != ".py":
        raise UserError(f"{main.name} is not a Python file; its name must end in .py")
    text = read_plugin(main)
    name = f"{_PREFIX}{main.stem}_{hashlib.sha256(str(main).encode()).hexdigest()[:8]}{text.fingerprint[:8]}"
    known = getattr(getattr(sys.modules.get(name), "__spec__", None), "loader", None)
    if isinstance(known, _Loader):
        text = read_plugin(main, known.added)
        if text.fingerprint == known.fingerprint:
            _check_apart(text, others)
            _finder().serve(text, name)
            return sys.modules[name], text
        _forget([name, *known.added])
    _check_apart(text, others)
    _finder().serve(text, name)
    return _execute(name, text)


def _execute(name: str, text: PluginText) -> tuple[ModuleType, PluginText]:
    main = text.files[0]
    loader = _Loader(main)
    spec = _spec(name, main, loader)
    module = module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module  # attrs and typing look annotations up there
    try:
        loader.exec_module(module)
    except BaseException:
        _forget([name])
        raise
    loader.added = tuple(sorted(_own(set(sys.modules) - before)))
    text = read_plugin(main.path, loader.added)
    loader.fingerprint = text.fingerprint
    return module, text


class _Loader(SourceLoader):
    """Runs the text of a file as it was read."""

    def __init__(self, file: PluginFile) -> None:
        self.file = file
        self.added: tuple[str, ...] = ()  #: modules of the user's own that loading it added
        self.fingerprint = ""  #: of all text of the plugin

    def get_filename(self, fullname: str) -> str:
        """The file's path."""
        return str(self.file.path)

    def get_data(self, path: bytes | str) -> bytes:
        """The text as it was read; other files from the disk."""
        return self.file.content if path == str(self.file.path) else Path(str(path)).read_bytes()


class _Finder(MetaPathFinder):
    """Finds the modules that plugins import, the user's own ones only."""

    of_plugins = True  #: so that reading a plugin asks Python's other finders first

    def __init__(self) -> None:
        self._files: dict[str, PluginFile] = {}

    def serve(self, text: PluginText, main: str) -> None:
        """Let the modules of a plugin be imported.

        Where one of them was imported with another text, all are forgotten, since the others may hold things of it.
        """
        files = {file.module: file for file in text.files if file.module is not None}
        package = text.files[0].module  # of a plugin that is a package
        if package is not None:
            below = {name.removeprefix(package): file for name, file in files.items()}
            files |= {main + name: file for name, file in below.items() if name.startswith(".")}
        known = {name: self._files.get(name, file) for name, file in files.items()}
        if any((known[name].path, known[name].content) != (file.path, file.content) for name, file in files.items()):
            _forget([*files, *filter(_is_served, {name.partition(".")[0] for name in files})])
        self._files |= files

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module of a plugin's file, or a folder of such."""
        file = self._files.get(fullname)
        if file is not None:
            return _spec(fullname, file, _Loader(file))
        inner = next((file for name, file in self._files.items() if name.startswith(f"{fullname}.")), None)
        if inner is None or fullname.startswith(_PREFIX):
            return None
        depth = str(inner.module).count(".") - fullname.count(".") - (inner.path.name != "__init__.py")
        spec = ModuleSpec(fullname, None, is_package=True, loader_state=inner)
        spec.submodule_search_locations = [str(inner.path.parents[depth])]
        return spec


def _spec(name: str, file: PluginFile, loader: _Loader) -> ModuleSpec:
    if file.path.suffix != ".py":
        compiled = spec_from_file_location(name, file.path)
        if compiled is None:
            raise UserError(f"{file.path} is no module that Python can load")
        return compiled
    spec = ModuleSpec(name, loader, origin=str(file.path), loader_state=file)
    spec.has_location = True
    if file.path.name == "__init__.py":
        spec.submodule_search_locations = [str(file.path.parent)]
    return spec


def _finder() -> _Finder:
    """The finder of this process; the first of all, since Python may find a module beside a plugin as well."""
    found = next((one for one in sys.meta_path if isinstance(one, _Finder)), None)
    if found is None:
        found = _Finder()
        sys.meta_path.insert(0, found)
    return found


def _check_apart(text: PluginText, others: Sequence[PluginText]) -> None:
    """Two modules of one name would be one of them in both plugins.

    Raises:
        UserError: names both.
    """
    known = {file.module: file for file in text.files if file.module is not None}
    for other in others:
        for theirs in other.files:
            mine = known.get(theirs.module or "", theirs)
            if mine.content != theirs.content:
                raise UserError(
                    f"it imports '{mine.module}' from {mine.path}, and plugin {other.files[0].path} another one from"
                    f" {theirs.path}; rename one of them"
                )


def _is_served(name: str) -> bool:
    """Whether a module was found by the finder of plugins."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return isinstance(getattr(spec, "loader_state", None), PluginFile)


def _own(names: Iterable[str]) -> Iterable[str]:
    """Modules of the user's own."""
    for name in names:
        file = getattr(sys.modules[name], "__file__", None)
        if file and not name.startswith(_PREFIX) and not is_installed(Path(file).resolve()):
            yield name


def _forget(names: Iterable[str]) -> None:
    for name in names:
        for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
            del sys.modules[loaded]
