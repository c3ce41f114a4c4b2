"""Paths into a recipe: what `--set`, `set` and `search` name.

The first word is a key of the recipe or the name of a stage; each further one is a field of the options class that
the recipe means at that place, whether or not the file writes that field out.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import attrs
from attrs import field, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Keys, Place, YamlDocument, show
from bebertlab.config.humanize import format_type
from bebertlab.errors import UnknownPart, UserError, suggestion, unknown
from bebertlab.interfaces.options import Options
from bebertlab.pipeline.recipe import Recipe
from bebertlab.registry.registry import Registry

PER_TASK = "per_task"  #: section of a recipe, see `per_task.py`

_STAGES = "stages"

_KIND = "kind"


@frozen(kw_only=True)
class OptionTarget:
    """An option of a recipe."""

    keys: Keys
    type: Any  #: the annotated type of what stands there; `str` for a kind
    #: defaults on the path that the document leaves out and that a value below them needs
    defaults: Mapping[Keys, object] = field(factory=dict)


def resolve_path(document: YamlDocument, text: str, registry: Registry) -> Keys:
    """The keys of a path such as `members.train.epochs` in a recipe's document.

    Raises:
        UserError: there is no such place; says what was likely meant.
    """
    return find_target(document, text, registry).keys


def type_at(document: YamlDocument, text: str, registry: Registry) -> Any:  # noqa: ANN401 - any annotation
    """The annotated type of what a path names.

    Raises:
        UserError: there is no such place.
    """
    return find_target(document, text, registry).type


def set_value(
    document: YamlDocument, text: str, value: object, origin: str | Place, registry: Registry
) -> YamlDocument:
    """The document with the value at a path changed; `origin` is where the value was written.

    Raises:
        UserError: there is no such place; begins with the origin.
    """
    try:
        target = find_target(document, text, registry)
    except UnknownPart as error:
        raise error.at(str(origin)) from error
    except UserError as error:
        raise UserError(f"{origin}: {error}") from error
    for path, default in target.defaults.items():
        document = document.put(path, YamlDocument.of(OptionsCodec(registry).dump(default), origin))
    return _without_presets(document.set(target.keys, value, origin), target.keys)


def find_target(document: YamlDocument, text: str, registry: Registry) -> OptionTarget:
    """The keys of a path.

    Raises:
        UserError: there is no such place; says what was likely meant.
    """
    walk = _Walk(document, text, registry)
    words = text.split(".")
    stages = document.data.get(_STAGES) if isinstance(document.data, Mapping) else None
    names = stages if isinstance(stages, Mapping) else {}
    if words[0] in names and words[0] not in fields_of(Recipe):
        words = [_STAGES, *words]
    elif words[0] not in fields_of(Recipe):
        known = [*fields_of(Recipe), *names]
        raise UserError(f"{text}: '{words[0]}' is no key and no stage of the recipe; {suggestion(words[0], known)}")
    return walk.fields((), Recipe, words)


def _without_presets(document: YamlDocument, keys: Keys) -> YamlDocument:
    """The document without the entries of `per_task` for a path or below it.

    What was set from outside wins over the section. Another kind takes the settings of the old one's options along.
    """
    presets = document.data.get(PER_TASK)
    if not isinstance(presets, Mapping):
        return document
    place = show(keys[:-1] if keys[-1] == _KIND else keys).removeprefix(f"{_STAGES}.")
    kept = {
        task: {path: value for path, value in settings.items() if not _is_at(str(path), place)}
        for task, settings in presets.items()
        if isinstance(settings, Mapping)
    }
    return attrs.evolve(document, data={**document.data, PER_TASK: {**presets, **kept}})


def _is_at(path: str, place: str) -> bool:
    return f"{path.removeprefix(f'{_STAGES}.')}.".startswith(f"{place}.")


class _Walk:
    """One way down into a document."""

    def __init__(self, document: YamlDocument, text: str, registry: Registry) -> None:
        self.document = document
        self.text = text
        self.registry = registry
        self.defaults: dict[Keys, object] = {}

    def value(self, path: Keys, of: Any, words: list[str], default: object) -> OptionTarget:  # noqa: ANN401
        """Go on from a value of an annotated type."""
        if not words:
            return OptionTarget(keys=path, type=of, defaults=self.defaults)
        role = role_of(of)
        if role is not None and words == [_KIND]:
            return OptionTarget(keys=(*path, _KIND), type=str, defaults=self.defaults)
        written = self.document.has(path) and self.document.get(path) is not None
        if role is not None and not written:
            if default is attrs.NOTHING or default is None:
                raise self.wrong(f"{show(path)} has no {role} yet; set {show(path)}.kind first")
            self.defaults[path] = default
            return self.fields(path, type(default), words, default)
        cls = class_at(self.document, path, of, self.registry)
        if cls is not None:
            return self.fields(path, cls, words, attrs.NOTHING if written else default)
        if role is not None:
            data = self.document.get(path)
            kind = data.get(_KIND) if isinstance(data, Mapping) else data
            raise UnknownPart(self.text, str(unknown(role, str(kind), self.registry.kinds(role))))
        return self.item(path, of, words)

    def fields(self, path: Keys, cls: type[Any], words: list[str], default: object = attrs.NOTHING) -> OptionTarget:
        """Continue into a field of a class; `default` is its value where the document has none."""
        fields = fields_of(cls)
        word = words[0]
        if word not in fields:
            raise self.wrong(f"{_of(path, cls)} has no option '{word}'; {suggestion(word, fields)}")
        inner = default_of(fields[word]) if default is attrs.NOTHING else getattr(default, fields[word].name)
        return self.value((*path, word), fields[word].type, words[1:], inner)

    def item(self, path: Keys, of: object, words: list[str]) -> OptionTarget:
        """Go on into a mapping or a list."""
        word = words[0]
        for kind in alternatives(of):
            origin, arguments = get_origin(kind), get_args(kind)
            if isinstance(origin, type) and issubclass(origin, Mapping):
                if path == (_STAGES,) and not self.document.has((*path, word)):
                    known = self.document.get(path) if self.document.has(path) else ()
                    raise self.wrong(f"there is no stage '{word}'; {suggestion(word, known)}")
                return self.value((*path, word), arguments[1], words[1:], attrs.NOTHING)
            if origin in (tuple, list):
                of_item = self.element(path, word, arguments)
                return self.value((*path, int(word)), of_item, words[1:], attrs.NOTHING)
        raise self.wrong(f"{show(path)} is {format_type(of)}; nothing is below it")

    def element(self, path: Keys, word: str, arguments: tuple[Any, ...]) -> object:
        """The type of one item of a list."""
        if not self.document.has((*path, word)):
            raise self.wrong(f"{show(path)} is a list; there is no item {word} in it")
        return arguments[0] if Ellipsis in arguments or len(arguments) == 1 else arguments[int(word)]

    def wrong(self, what: str) -> UserError:
        """The error for a path that leads nowhere."""
        return UserError(f"{self.text}: {what}")


def _of(path: Keys, cls: type[Any]) -> str:
    kind = getattr(cls, _KIND, None)
    return f"{show(path)} ({cls.role} '{kind}')" if isinstance(kind, str) else show(path) or "a recipe"


def class_at(document: YamlDocument, path: Keys, of: object, registry: Registry) -> type[Any] | None:
    """The class of the value that a document holds at a path of an annotated type; None where it is not known."""
    role = role_of(of)
    if role is None:
        return next((one for one in alternatives(of) if isinstance(one, type) and attrs.has(one)), None)
    data = document.get(path) if document.has(path) else None
    kind = data.get("kind") if isinstance(data, Mapping) else data
    if not isinstance(kind, str) or kind not in registry.kinds(role):
        return None
    return registry.find(role, kind)


def role_of(of: object) -> str | None:
    """The role of an annotated type; None where it is not that of options.

    >>> from bebertlab.interfaces.task import TaskOptions
    >>> role_of(TaskOptions | None), role_of(int)
    ('task', None)
    """
    return next((one.role for one in alternatives(of) if isinstance(one, type) and issubclass(one, Options)), None)


def alternatives(of: object) -> tuple[object, ...]:
    """The types that a value of an annotated type can have.

    >>> alternatives(int | None)
    (<class 'int'>, <class 'NoneType'>)
    """
    origin = get_origin(of)
    if origin is Annotated:
        return alternatives(get_args(of)[0])
    return get_args(of) if origin in (Union, types.UnionType) else (of,)


def fields_of(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    """The fields of an attrs class by their names in YAML, with resolved types."""
    return {field.alias: field for field in attrs.fields(attrs.resolve_types(cls)) if field.init}


def default_of(field: attrs.Attribute[Any]) -> object:
    """The default value of a field; `attrs.NOTHING` where it has none or one that depends on other fields."""
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type] # a class at run time
        factory: Any = field.default
        return attrs.NOTHING if factory.takes_self else factory.factory()
    return field.default


def items_of(data: object, of: object) -> Iterator[tuple[str | int, Any, Any]]:
    """Keys, items and their annotated types of a list or a mapping."""
    for kind in alternatives(of):
        origin, arguments = get_origin(kind), get_args(kind)
        if not isinstance(origin, type) or not arguments:
            continue
        if isinstance(data, Mapping) and issubclass(origin, Mapping):
            yield from ((key, item, arguments[1]) for key, item in data.items())
            return
        if isinstance(data, list) and not issubclass(origin, Mapping):
            fixed = origin is tuple and Ellipsis not in arguments and len(arguments) == len(data)
            yield from ((i, item, arguments[i] if fixed else arguments[0]) for i, item in enumerate(data))
            return
