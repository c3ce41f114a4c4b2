"""Finding and loading plugins: entry points of the group `bebertlab`, and one-file plugins.

A plugin is used as a whole or not at all. One that fails is reported with its error; the others still work.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import tomllib
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import attrs
import pluggy
from attrs import frozen

import bebertlab
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.roles import ROLES, role_of_hook
from bebertlab.registry.hookspecs import hook_specifications, plugin_manager
from bebertlab.registry.observers import Observers
from bebertlab.registry.plugin_loader import load_file
from bebertlab.registry.plugin_text import PluginText, installed_text, single_file
from bebertlab.registry.registry import Contribution, Failure, PluginSource, Registry

GROUP = "bebertlab"
DISABLE = "BEBERTLAB_DISABLE_PLUGINS"


@frozen(kw_only=True, eq=False)
class Plugins:
    """The loaded plugins."""

    registry: Registry
    observers: Observers  #: the loaded plugins, and the objects given to `observe`
    loaded: tuple[PluginSource, ...]  #: in the order of loading
    disabled: tuple[str, ...]  #: entry points disabled by BEBERTLAB_DISABLE_PLUGINS
    _manager: pluggy.PluginManager

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Plugins that could not be used."""
        return self.registry.failures

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the one-file plugins, failed ones included: another process that loads them has the same plugins."""
        sources = [*self.loaded, *(failure.source for failure in self.failures)]
        return tuple(source.file for source in sources if source.file is not None)

    @property
    def texts(self) -> tuple[PluginText, ...]:
        """The text of the one-file plugins in the order of `files`; of failed ones only that of the file itself."""
        sources = [*self.loaded, *(failure.source for failure in self.failures)]
        return tuple(source.text or single_file(source.file) for source in sources if source.file is not None)

    def observe(self, observer: object) -> None:
        """Add an observer: an object with `@hookimpl` methods named as observer hooks.

        Raises:
            UserError: a hook is misspelt.
        """
        self._manager.register(observer)
        _check_hooks(self._manager, observer)


def load_plugins(files: Sequence[Path] = ()) -> Plugins:
    """Load the installed plugins and the given files.

    Raises:
        UserError: a file does not exist.
    """
    manager = plugin_manager()
    disabled = _disabled()
    registry = Registry()
    loaded: list[PluginSource] = []
    texts: list[PluginText] = []
    for source, importer in [*_installed(disabled), *map(_one_file, dict.fromkeys(map(Path.resolve, files)))]:
        try:
            plugin, source = importer(texts)
            registry = registry.extended(_contributions(manager, plugin, source), source)
        except (Exception, SystemExit) as error:
            registry = attrs.evolve(registry, failures=(*registry.failures, _failure(source, error)))
            if manager.has_plugin(_key(source)):
                manager.unregister(name=_key(source))
        else:
            loaded.append(source)
            texts += [source.text] if source.text else []
    return Plugins(
        registry=registry,
        observers=Observers(manager),
        loaded=tuple(loaded),
        disabled=tuple(sorted(disabled)),
        manager=manager,
    )


def forgotten_entry_points() -> tuple[str, ...]:
    """Entry points of pyproject.toml that the installed metadata lacks: the editable install is outdated."""
    project = Path(bebertlab.__file__).parents[1] / "pyproject.toml"
    if not project.is_file():
        return ()  # installed from a wheel, which carries both
    declared = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("entry-points", {})
    installed = importlib.metadata.entry_points(group=GROUP).names
    return tuple(sorted(declared.get(GROUP, {}).keys() - installed))


def _disabled() -> frozenset[str]:
    return frozenset(name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip())


#: from the texts of the plugins loaded before to the plugin, and its source with its text
_Importer = Callable[[Sequence[PluginText]], tuple[object, PluginSource]]


def _installed(disabled: frozenset[str]) -> Iterable[tuple[PluginSource, _Importer]]:
    """The entry points, the shipped ones first, so that of two plugins with the same kind the other one fails."""
    importers = []
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.name not in disabled:
            distribution = f"{point.dist.name} {point.dist.version}" if point.dist else None
            source = PluginSource(plugin=point.name, distribution=distribution)
            importers.append((source, partial(_load_point, point, source)))
    return sorted(importers, key=lambda item: (not _is_shipped(item[0]), str(item[0])))


def _is_shipped(source: PluginSource) -> bool:
    return str(source.distribution).startswith(f"{GROUP} ")


def _load_point(
    point: importlib.metadata.EntryPoint, source: PluginSource, _: Sequence[PluginText]
) -> tuple[object, PluginSource]:
    plugin = point.load()
    if _is_shipped(source):
        return plugin, source
    return plugin, attrs.evolve(source, fingerprint=f"{source.distribution} {installed_text(point)}")


def _one_file(path: Path) -> tuple[PluginSource, _Importer]:
    if path.is_dir():
        raise UserError(f"plugin {path} is a folder; give a file in it, such as its __init__.py")
    if not path.is_file():
        raise UserError(f"plugin file {path} does not exist")
    source = PluginSource(plugin=path.name, file=path)
    return source, partial(_load_one_file, path, source)


def _load_one_file(path: Path, source: PluginSource, others: Sequence[PluginText]) -> tuple[object, PluginSource]:
    module, text = load_file(path, others)
    return module, attrs.evolve(source, fingerprint=text.fingerprint, text=text)


def _contributions(manager: pluggy.PluginManager, plugin: object, source: PluginSource) -> list[Contribution]:
    """Call the hooks of one plugin alone, so that one that raises does not stop those of the others."""
    manager.register(plugin, name=_key(source))
    _check_hooks(manager, plugin)
    contributions: list[Contribution] = []
    for caller in manager.get_hookcallers(plugin) or []:
        role = role_of_hook(caller.name)
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin and role is not None:
                contributions += [(role.options, cls) for cls in _listed(caller.name, implementation.function())]
    return contributions


def _listed(hook: str, returned: object) -> list[object]:
    if isinstance(returned, (type, str)) or not isinstance(returned, Iterable):
        raise UserError(f"{hook} returned {returned!r}; it must return a list of options classes")
    return list(returned)


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    implemented = {caller.name for caller in manager.get_hookcallers(plugin) or []}
    if problem := _hook_problem(plugin, implemented):
        manager.unregister(plugin)
        raise UserError(problem)


def _hook_problem(plugin: object, implemented: set[str]) -> str:
    """What is wrong with the hooks of a plugin; empty where nothing is."""
    known = hook_specifications()
    for name in sorted(implemented - known.keys()):
        return f"unknown hook '{name}'; {suggestion(name, known)}"
    for name in known.keys() - implemented:
        if callable(getattr(plugin, name, None)):
            return f"'{name}' is not marked as a hook; put @hookimpl above it"
    return "" if implemented else f"it implements no hook; write e.g. {ROLES[0].hook}() with @hookimpl above it"


def _failure(source: PluginSource, error: BaseException) -> Failure:
    if isinstance(error, UserError):
        return Failure(source=source, error=str(error))
    message = " ".join(str(error).split())
    text = message if isinstance(error, pluggy.PluginValidationError) else f"{type(error).__name__}: {message}"
    return Failure(source=source, error=text, traceback="".join(traceback.format_exception(error)))


def _key(source: PluginSource) -> str:
    # names must be unique in pluggy; two distributions may use the same entry point name
    return f"{source.distribution or source.file}:{source.plugin}"
