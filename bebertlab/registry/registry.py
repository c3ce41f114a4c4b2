"""The options classes that the loaded plugins contribute, by role and kind."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeGuard

import attrs
from attrs import field, frozen

from bebertlab.errors import UserError, unknown
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.roles import role_names
from bebertlab.registry.plugin_text import PluginText

Bases = type[Options] | tuple[type[Options], ...]
#: the abstract class of a role, or several, and an object that must be a subclass of one of them
Contribution = tuple[Bases, object]

_KIND = re.compile(r"[a-z0-9_.-]+")


@frozen(kw_only=True)
class PluginSource:
    """Where a plugin comes from."""

    plugin: str  #: name of the entry point, or the file's name
    distribution: str | None = None  #: name and version of the installed distribution; None for a one-file plugin
    file: Path | None = None  #: the file of a one-file plugin
    #: sha256 of the text of a plugin that is not shipped, since any edit may change its results; None if shipped
    fingerprint: str | None = None
    text: PluginText | None = field(default=None, repr=False)  #: of a loaded one-file plugin

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' ({self.distribution or self.file})"


@frozen(kw_only=True)
class Failure:
    """A plugin that could not be used, and why."""

    source: PluginSource
    error: str  #: what is wrong, and what would be valid
    traceback: str = ""  #: of an exception inside the plugin

    def __str__(self) -> str:
        return f"{self.source} failed: {self.error}"


@frozen(kw_only=True)
class RegistryEntry:
    """An options class and the plugin that registered it."""

    cls: type[Options]
    source: PluginSource

    @property
    def role(self) -> str:
        """Name of the role, e.g. `quantizer`."""
        return self.cls.role

    @property
    def kind(self) -> str:
        """The name in YAML."""
        return self.cls.kind

    @property
    def plugin(self) -> str:
        """Name of the plugin."""
        return self.source.plugin

    @property
    def distribution(self) -> str | None:
        """Name and version of the installed distribution; None for a one-file plugin."""
        return self.source.distribution

    @property
    def fingerprint(self) -> str | None:
        """The sha256 of the plugin's text; None for a shipped one, whose parts have a `revision`."""
        return self.source.fingerprint


@frozen(kw_only=True)
class Registry:
    """The registered options classes by role and kind. Immutable: adding entries gives another registry."""

    entries: Mapping[str, Mapping[str, RegistryEntry]] = field(factory=dict)  #: by role, then kind
    failures: tuple[Failure, ...] = ()  #: mentioned where a kind is unknown, since one of them may contribute it

    def kinds(self, role: str) -> tuple[str, ...]:
        """The registered kinds of a role, in alphabetical order."""
        return tuple(sorted(self.entries.get(role, {})))

    def find(self, role: str, kind: str) -> type[Options]:
        """The options class of a kind.

        Raises:
            UserError: it is unknown; suggests a similar kind and names the plugins that failed.
        """
        entry = self.entries.get(role, {}).get(kind)
        if entry is None:
            raise self.unknown(role, kind)
        return entry.cls

    def entry(self, cls: type[Options]) -> RegistryEntry:
        """The entry of a registered options class.

        Raises:
            UserError: the class is not registered.
        """
        entry = self.entries.get(cls.role, {}).get(cls.kind)
        if entry is None or entry.cls is not cls:
            raise UserError(f"{_name(cls)} is not registered; return it from the hook of its role ({cls.role})")
        return entry

    def all(self) -> tuple[RegistryEntry, ...]:
        """Every entry, by role and kind."""
        return tuple(self.entries[role][kind] for role in role_names() for kind in self.kinds(role))

    def unknown(self, role: str, kind: str) -> UserError:
        """The error for an unknown kind; it names the plugins that failed, which may contribute it.

        The role "part" stands for any role.
        """
        known = self.kinds(role) if role != "part" else {entry.kind for entry in self.all()}
        error = unknown(role, kind, known)
        return UserError("\n  ".join([str(error), *map(str, self.failures)]))

    def extended(self, contributions: Iterable[Contribution], source: PluginSource) -> Registry:
        """This registry with what one plugin contributes.

        Raises:
            UserError: an object is not an options class of its role, or its kind is taken; names both plugins.
        """
        entries = {role: dict(kinds) for role, kinds in self.entries.items()}
        for bases, contributed in contributions:
            if not _is_options(contributed, bases):
                raise UserError(f"{_name(contributed)} is not a subclass of {_base_names(bases)}")
            check_options(contributed)
            kinds = entries.setdefault(contributed.role, {})
            if contributed.kind in kinds:
                raise UserError(_taken(contributed, kinds[contributed.kind]))
            kinds[contributed.kind] = RegistryEntry(cls=contributed, source=source)
        return attrs.evolve(self, entries=entries)


def check_options(cls: type[Options]) -> None:
    """Check that an options class can be read from YAML, hashed and documented.

    Raises:
        UserError: names the class and what is missing.
    """
    for check in (_check_attrs, _check_kind, _check_concrete, _check_fields):
        check(cls)


def _check_kind(cls: type[Options]) -> None:
    if "kind" in attrs.fields_dict(cls):
        raise UserError(f'kind of {_name(cls)} is a field; write kind = "..." without an annotation')
    kind = getattr(cls, "kind", None)
    if kind is None:
        raise UserError(f'{_name(cls)} has no kind; write kind = "its_name_in_yaml" in the class body')
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise UserError(f"kind {kind!r} of {_name(cls)} may have lower-case letters, digits, '_', '.' and '-' only")


def _check_attrs(cls: type[Options]) -> None:
    # a subclass without the decorator has the fields of its base, but not its own
    if "__attrs_attrs__" not in vars(cls):
        raise UserError(f"{_name(cls)} is not an attrs class; decorate it with @frozen(kw_only=True)")


def _check_concrete(cls: type[Options]) -> None:
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise UserError(f"{_name(cls)} does not implement {missing}")


def _check_fields(cls: type[Options]) -> None:
    for attribute in attrs.fields(cls):
        if attribute.type is None:
            raise UserError(f"field {attribute.name} of {_name(cls)} has no type; annotate it")
    try:
        attrs.resolve_types(cls)
    except (NameError, TypeError, SyntaxError) as error:
        raise UserError(
            f"an annotation of {_name(cls)} cannot be resolved: {error}; import what it names outside TYPE_CHECKING"
        ) from error


def _is_options(contributed: object, bases: Bases) -> TypeGuard[type[Options]]:
    return isinstance(contributed, type) and issubclass(contributed, bases)


def _base_names(bases: Bases) -> str:
    return " or ".join(cls.__name__ for cls in (bases if isinstance(bases, tuple) else (bases,)))


def _taken(cls: type[Options], owner: RegistryEntry) -> str:
    return (
        f"{cls.role} '{cls.kind}' ({_name(cls)}) is already registered by {owner.source} ({_name(owner.cls)}); "
        "give it another kind"
    )


def _name(contributed: object) -> str:
    if isinstance(contributed, type):
        return f"{contributed.__module__}.{contributed.__qualname__}"
    return repr(contributed)
