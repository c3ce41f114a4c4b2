"""The parts of a stage's key besides its inputs: its options, and every part that its result depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import attrs
from attrs import frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.distillation import DistillationOptions, resolve_phases
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import (
    Codec,
    Composition,
    StageGroupOptions,
    StageOptions,
    excluded_fields,
    input_fields,
)
from bebertlab.store.fingerprint import canonical

#: represents all registered parts in the key of a stage that does not declare which it builds
ALL_PARTS = "registered"

_LEAVES = (bool, int, float, str, type(None))


def options_identity(options: Options, codec: OptionsCodec) -> dict[str, Any]:
    """The options of a task or an encoder, and the expansions of nested options."""
    return {"options": codec.dump_identity(options), "made_of": _expanded(options, codec)}


def stage_identity(stage: StageOptions, codec: OptionsCodec) -> dict[str, Any]:
    """A stage's options with the revisions of all parts, without its seed, the names of its inputs and paths."""
    identity: dict[str, Any] = codec.dump_identity(stage)
    for name in ("seed", *input_fields(type(stage)), *excluded_fields(type(stage))):
        del identity["options"][name]
    return identity


def group_identity(group: StageGroupOptions, codec: OptionsCodec) -> dict[str, Any]:
    """The group that expanded to a stage, without its options: their effects are in the options of the stage."""
    return {name: value for name, value in codec.dump_identity(group).items() if name != "options"}


def composition_identity(stage: StageOptions, composition: Composition | None, codec: OptionsCodec) -> dict[str, Any]:
    """The expansions of the options of a stage and of its composition, by path.

    A scheme expands to a specification, whose quantizers have revisions, a distillation to phases with losses.
    A stage that does not declare its composition depends on every registered part.
    """
    identity: dict[str, Any] = {"options": _expanded(stage, codec)}
    if composition is None:
        return {**identity, ALL_PARTS: _registered(codec)}
    for name, value in (("design", composition.spec), ("parts", composition.parts)):
        identity[name] = codec.dump_identity(value)
        identity[f"{name}_options"] = _expanded(value, codec)
    return identity


def _registered(codec: OptionsCodec) -> dict[str, Any]:
    """The revision of every registered part, by role and kind, or the hash of its plugin where it has one."""
    return {
        f"{entry.role} {entry.kind}": entry.cls.revision if entry.fingerprint is None else entry.fingerprint
        for entry in codec.registry.all()
    }


def _expanded(value: object, codec: OptionsCodec) -> dict[str, Any]:
    """The specifications and phases that options nested in a value expand to, recursively."""
    expanded: dict[str, Any] = {}
    seen: set[str] = set()
    todo = [("", value)]
    while todo:
        prefix, value = todo.pop()
        for where, options in inner_values(value, prefix):
            if isinstance(options, _LEAVES):
                continue
            expansion = _expand(options, codec)
            text = "" if expansion is None else canonical(codec.dump_identity(options))
            if expansion is None or text in seen:  # parts that build each other would not end
                continue
            seen.add(text)
            expanded[f"{where}()"] = codec.dump_identity(expansion)
            todo.append((f"{where}()", expansion))
    return expanded


def _expand(options: object, codec: OptionsCodec) -> object:
    if isinstance(options, DistillationOptions):
        return resolve_phases(options, codec)
    return options.spec() if isinstance(options, SchemeOptions) else None


def inner_values(value: object, prefix: str) -> Iterator[tuple[str, object]]:
    """A value and everything nested in it, each with its path of fields, keys and positions."""
    yield prefix, value
    if isinstance(value, _LEAVES):  # most values; the checks below take longer
        return
    items: Iterator[tuple[object, object]]
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    elif isinstance(value, AbstractSet):
        items = enumerate(sorted(value, key=repr))
    elif attrs.has(cls := type(value)):
        items = ((field.name, getattr(value, field.name)) for field in attrs.fields(cls))
    else:
        return
    for name, item in items:
        yield from inner_values(item, f"{prefix}.{name}" if prefix else str(name))


T = TypeVar("T")

Part = tuple[str, str]
"""Role and kind."""


@frozen
class WatchedCodec(Codec):
    """A codec for one run of a stage."""

    codec: Codec
    known: frozenset[Part] | None  #: parts in the keys of the stage and its ancestors; None: all

    def dump(self, value: object) -> Any:  # noqa: ANN401 - plain data
        """Plain data of a value.

        Raises:
            UserError: a part in it is not in the key.
        """
        self._check(value)
        return self.codec.dump(value)

    def load(self, data: object, cls: type[T]) -> T:
        """The value of plain data.

        Raises:
            UserError: every error of the data, one a line; or a part in it is not in the key.
        """
        value = self.codec.load(data, cls)
        self._check(value)
        return value

    def plugin_of(self, part: Options) -> tuple[str, str]:
        """The plugin that registered a part, and its version.

        Raises:
            UserError: the part is not in the key.
        """
        self._check(part)
        return self.codec.plugin_of(part)

    def _check(self, value: object) -> None:
        if self.known is None:
            return
        for _, part in inner_values(value, ""):
            if isinstance(part, Options) and (part.role, part.kind) not in self.known:
                raise UserError(
                    f"it uses {part.role} '{part.kind}', which is not in its key, so that a change of it would go"
                    " unseen; its class must name it in composition()"
                )


def known_parts(keys: Iterable[Mapping[str, Any]]) -> frozenset[Part] | None:
    """The parts that are named in the parts of keys; None where a key has all of them."""
    named: set[Part] = set()
    for parts in keys:
        if ALL_PARTS in parts["made_of"]:
            return None
        named |= set(_named(parts))
    return frozenset(named)


def _named(data: object) -> Iterator[Part]:
    if isinstance(data, Mapping):
        if {"role", "kind", "revision"} <= data.keys():
            yield str(data["role"]), str(data["kind"])
        for value in data.values():
            yield from _named(value)
    elif isinstance(data, list):
        for value in data:
            yield from _named(value)
