"""Paths into a recipe: what `--set`, `set` and `search` name.

The first word is a key of the recipe or the name of a stage; each further one is a field of the options class that
the recipe means at that place, whether or not the file writes that field out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Keys, Place, YamlDocument, show
from bebertlab.config.schema import ListType, MappingType, Schema, fields_of
from bebertlab.errors import UnknownPart, UserError, suggestion, unknown
from bebertlab.pipeline.recipe import PER_TASK, Recipe
from bebertlab.registry.registry import Registry

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


def path_depth(document: YamlDocument, text: str) -> int:
    """The number of keys of a path, also of one that exists with other values of the recipe only.

    >>> path_depth(YamlDocument.of({"stages": {"score": {}}}), "score.rate")
    3
    """
    words = text.split(".")
    stages = document.data.get(_STAGES) if isinstance(document.data, Mapping) else None
    is_stage = isinstance(stages, Mapping) and words[0] in stages and words[0] not in fields_of(Recipe)
    return len(words) + is_stage


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

    def value(self, path: Keys, of: Schema, words: list[str], default: object) -> OptionTarget:
        """Go on from a value of a type."""
        if not words:
            return OptionTarget(keys=path, type=of.annotation, defaults=self.defaults)
        role = None if of.role is None else of.role.name
        if role is not None and words == [_KIND]:
            return OptionTarget(keys=(*path, _KIND), type=str, defaults=self.defaults)
        data = self.document.get(path) if self.document.has(path) else None
        if role is not None and data is None:
            if default is attrs.NOTHING or default is None:
                raise self.wrong(f"{show(path)} has no {role} yet; set {show(path)}.kind first")
            self.defaults[path] = default
            return self.fields(path, type(default), words, default)
        cls = of.class_of(data, self.registry)
        if cls is not None:
            return self.fields(path, cls, words, default if data is None else attrs.NOTHING)
        if role is not None:
            kind = data.get(_KIND) if isinstance(data, Mapping) else data
            raise UnknownPart(self.text, str(unknown(role, str(kind), self.registry.kinds(role))))
        return self.item(path, of, words)

    def fields(self, path: Keys, cls: type[Any], words: list[str], default: object = attrs.NOTHING) -> OptionTarget:
        """Continue into a field of a class; `default` is its value where the document has none."""
        fields = fields_of(cls)
        word = words[0]
        if word not in fields:
            raise self.wrong(f"{_of(path, cls)} has no option '{word}'; {suggestion(word, fields)}")
        field = fields[word]
        inner = field.default if default is attrs.NOTHING else getattr(default, field.attribute.name)
        return self.value((*path, word), field.schema, words[1:], inner)

    def item(self, path: Keys, of: Schema, words: list[str]) -> OptionTarget:
        """Go on into a mapping or a list."""
        word = words[0]
        for alternative in of.alternatives:
            if isinstance(alternative, MappingType):
                if path == (_STAGES,) and not self.document.has((*path, word)):
                    known = self.document.get(path) if self.document.has(path) else ()
                    raise self.wrong(f"there is no stage '{word}'; {suggestion(word, known)}")
                return self.value((*path, word), alternative.value, words[1:], attrs.NOTHING)
            if isinstance(alternative, ListType):
                if not self.document.has((*path, word)):
                    raise self.wrong(f"{show(path)} is a list; there is no item {word} in it")
                return self.value((*path, int(word)), alternative.at(int(word)), words[1:], attrs.NOTHING)
        raise self.wrong(f"{show(path)} is {of}; nothing is below it")

    def wrong(self, what: str) -> UserError:
        """The error for a path that leads nowhere."""
        return UserError(f"{self.text}: {what}")


def _of(path: Keys, cls: type[Any]) -> str:
    kind = getattr(cls, _KIND, None)
    return f"{show(path)} ({cls.role} '{kind}')" if isinstance(kind, str) else show(path) or "a recipe"
