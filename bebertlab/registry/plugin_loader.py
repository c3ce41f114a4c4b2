"""Loading one-file plugins: what runs is the text that was read and hashed, including that of the modules they import.

Python itself would use compiled code from `__pycache__` if a file kept its size and time, and would not find the
modules next to a plugin at all.
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
    """The module of a one-file plugin and its text; the same text gives the same module.

    `others` are the plugins loaded before.

    Raises:
        UserError: it is not a Python file, or one of the others imports another module of the same name.
    """
    if main.suffix != ".py":
        raise UserError(f"{main.name} is not a Python file; its name must end in .py")
    text = read_plugin(main)
    name = f"{_PREFIX}{main.stem}_{hashlib.sha256(str(main).encode()).hexdigest()[:8]}{text.fingerprint[:8]}"
    loader = getattr(getattr(sys.modules.get(name), "__spec__", None), "loader", None)
    if isinstance(loader, _Loader):  # already loaded
        text = read_plugin(main, loader.added)
        if text.fingerprint == loader.fingerprint:
            _check_names(text, others)
            _finder().serve(text, name)
            return sys.modules[name], text
        _unload([name, *loader.added])
    _check_names(text, others)
    _finder().serve(text, name)
    return _execute(name, text)


def _execute(name: str, text: PluginText) -> tuple[ModuleType, PluginText]:
    main = text.files[0]
    loader = _Loader(main)
    spec = _spec(name, main, loader)
    module = module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module  # where attrs and typing resolve annotations
    try:
        loader.exec_module(module)
    except BaseException:
        _unload([name])
        raise
    loader.added = tuple(sorted(_user_modules(set(sys.modules) - before)))
    text = read_plugin(main.path, loader.added)
    loader.fingerprint = text.fingerprint
    return module, text


class _Loader(SourceLoader):
    """Runs the text of a file as it was read and hashed."""

    def __init__(self, file: PluginFile) -> None:
        self.file = file
        self.added: tuple[str, ...] = ()  #: modules of the user that loading it imported
        self.fingerprint = ""  #: of the whole plugin

    def get_filename(self, fullname: str) -> str:
        return str(self.file.path)

    def get_data(self, path: bytes | str) -> bytes:
        """The text as it was read; other files from the disk."""
        return self.file.content if path == str(self.file.path) else Path(str(path)).read_bytes()


class _Finder(MetaPathFinder):
    """Finds the user's modules that plugins import."""

    of_plugins = True  #: reading a plugin asks Python's other finders first

    def __init__(self) -> None:
        self._files: dict[str, PluginFile] = {}

    def serve(self, text: PluginText, main: str) -> None:
        """Make the modules of a plugin importable, and its main module under the name `main`.

        If one of them was imported with another text, all are removed, since the others may refer to it.
        """
        files = {file.module: file for file in text.files if file.module is not None}
        package = text.files[0].module  # of a plugin that is a package
        if package is not None:
            suffixes = {name.removeprefix(package): file for name, file in files.items()}
            files |= {main + suffix: file for suffix, file in suffixes.items() if suffix.startswith(".")}
        served = {name: self._files.get(name, file) for name, file in files.items()}
        if any((served[name].path, served[name].content) != (file.path, file.content) for name, file in files.items()):
            _unload([*files, *filter(_is_served, {name.partition(".")[0] for name in files})])
        self._files |= files

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module of a plugin's file, or a namespace package."""
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
            raise UserError(f"{file.path} is not a module that Python can load")
        return compiled
    spec = ModuleSpec(name, loader, origin=str(file.path), loader_state=file)
    spec.has_location = True
    if file.path.name == "__init__.py":
        spec.submodule_search_locations = [str(file.path.parent)]
    return spec


def _finder() -> _Finder:
    """The finder of this process, before all others, since Python may find another module of the same name."""
    finder = next((finder for finder in sys.meta_path if isinstance(finder, _Finder)), None)
    if finder is None:
        finder = _Finder()
        sys.meta_path.insert(0, finder)
    return finder


def _check_names(text: PluginText, others: Sequence[PluginText]) -> None:
    """Refuse two different modules of the same name: both plugins would import the same one.

    Raises:
        UserError: names both.
    """
    files = {file.module: file for file in text.files if file.module is not None}
    for other in others:
        for other_file in other.files:
            file = files.get(other_file.module or "", other_file)
            if file.content != other_file.content:
                raise UserError(
                    f"it imports '{file.module}' from {file.path}, and plugin {other.files[0].path} imports another"
                    f" one from {other_file.path}; rename one of them"
                )


def _is_served(name: str) -> bool:
    """Whether a module was found by `_Finder`."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return isinstance(getattr(spec, "loader_state", None), PluginFile)


def _user_modules(names: Iterable[str]) -> Iterable[str]:
    """Those of the modules that are not installed."""
    for name in names:
        file = getattr(sys.modules[name], "__file__", None)
        if file and not name.startswith(_PREFIX) and not is_installed(Path(file).resolve()):
            yield name


def _unload(names: Iterable[str]) -> None:
    for name in names:
        for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
            del sys.modules[module]
