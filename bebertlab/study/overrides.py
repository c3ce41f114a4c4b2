"""Overrides of a study: `--set`, `smoke` and `set`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from attrs import frozen

from bebertlab.config.document import Keys, Place, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.yaml import parse_value
from bebertlab.errors import UnknownPart, UserError
from bebertlab.interfaces.values import same
from bebertlab.pipeline.paths import resolve_path, set_value
from bebertlab.registry.registry import Registry
from bebertlab.study.study import Study

SEARCH = "search"

_OWN = frozenset(attribute.name for attribute in attrs.fields(Study)) - {SEARCH}
_FIXED = ("schema_version", "set", "smoke", "is_smoke")


@frozen(kw_only=True)
class Override:
    """A value at a path of the study or of its recipe."""

    path: str
    value: Any
    place: Place  #: where it was written

    @property
    def is_own(self) -> bool:
        """Whether it changes a key of the study other than `search`."""
        first, _, rest = self.path.partition(".")
        return first in _OWN and not (first == "recipe" and rest)


def parse_override(text: str) -> Override:
    """The override of `--set TEXT`.

    >>> parse_override("members.size=[1, 2]").value
    [1, 2]

    Raises:
        UserError: it is not of the form path=value, or the value is not valid YAML.
    """
    path, equals, value = text.partition("=")
    origin = f"--set {text}"
    if not equals or not path.strip():
        raise UserError(f"{origin}: write it as path=value, e.g. --set train.epochs=1")
    return Override(path=path.strip(), value=parse_value(value, origin), place=Place(origin=origin))


def sort_overrides(changes: Iterable[Override]) -> list[Override]:
    """The overrides in an order in which every path exists: the kind of a part before its options.

    >>> overrides = map(parse_override, ["task.name=cola", "seeds=[0]", "task.kind=glue"])
    >>> [override.path for override in sort_overrides(overrides)]
    ['task.kind', 'task.name', 'seeds']
    """
    return sorted(changes, key=lambda change: not change.path.endswith(".kind"))


def written_overrides(document: YamlDocument, key: str, errors: ErrorCollector) -> list[Override]:
    """The overrides under a key of the study's file: a mapping of paths to values."""
    data = document.data.get(key)
    if data is None:
        return []
    if not isinstance(data, Mapping):
        errors.add(document, (key,), "must be a mapping of paths to values")
        return []
    return [Override(path=path, value=data[path], place=document.place((key, path))) for path in data]


def override_study(document: YamlDocument, changes: Iterable[Override], errors: ErrorCollector) -> YamlDocument:
    """The study's document with the overrides of its own keys."""
    for change in changes:
        if change.path.partition(".")[0] in _FIXED:
            errors.add_at(change.place, change.path, "cannot be overridden")
        elif change.is_own:
            path = tuple(change.path.split("."))
            value = {"kind": change.value} if path == ("sampler",) and isinstance(change.value, str) else change.value
            try:
                document = document.put(path, YamlDocument(data=value, values={(): change.place}))
            except UserError as error:
                errors.add_error(error, change.place)
    return document


def override_recipe(
    study: YamlDocument, recipe: YamlDocument, changes: Iterable[Override], registry: Registry, errors: ErrorCollector
) -> tuple[YamlDocument, YamlDocument]:
    """Both documents with the overrides of the recipe and of `search`, in order.

    A value for a searched path fixes it: it is not searched any more.
    """
    for change in changes:
        if change.is_own or change.path.partition(".")[0] in _FIXED:
            continue
        try:
            if change.path.startswith(f"{SEARCH}."):
                study = _change_axis(study, recipe, change, registry)
            elif change.path == SEARCH:
                study = study.put((SEARCH,), YamlDocument(data=change.value, values={(): change.place}))
            else:
                recipe, keys = _change_value(recipe, change, registry)
                study = _without_axis(study, recipe, keys, registry)
        except UserError as error:
            errors.add_error(error, change.place)
    return study, recipe


def axis_named(study: YamlDocument, recipe: YamlDocument, keys: Keys, registry: Registry) -> str | None:
    """The name under which a value of the recipe is searched, if it is; a value has several names."""
    axes = study.data.get(SEARCH)
    for name in axes if isinstance(axes, Mapping) else ():
        try:
            found = resolve_axis(study, recipe, name, registry)
        except UserError:
            continue
        if keys in (found, (*found, "kind")):
            return str(name)
    return None


def resolve_axis(study: YamlDocument, recipe: YamlDocument, name: str, registry: Registry) -> Keys:
    """The keys of a searched path, in the recipe with the first value of each of its conditions.

    Raises:
        UserError: there is no such place.
    """
    return resolve_path(recipe_of_axis(study, recipe, name, registry), name, registry)


def recipe_of_axis(study: YamlDocument, recipe: YamlDocument, name: str, registry: Registry) -> YamlDocument:
    """The recipe in which a searched path exists: with the first value of each condition of it and of those.

    Conditions that name no path above it are left to their own check.

    Raises:
        UserError: there is no place that a condition names.
    """
    axes: dict[str, Any] = dict(study.data.get(SEARCH) or {})
    earlier = list(axes)[: list(axes).index(name)] if name in axes else []
    axis = axes.get(name)
    conditions = axis.get("when") if isinstance(axis, Mapping) else None
    for path, values in conditions.items() if isinstance(conditions, Mapping) else ():
        if path in earlier:
            recipe = recipe_of_axis(study, recipe, path, registry)
            wanted = _first(axes[path], values)
            recipe = recipe if wanted is None else set_value(recipe, path, wanted, study.place(), registry)
    return recipe


def _first(axis: object, values: object) -> object:
    """The first value of a line of a condition."""
    if isinstance(values, Mapping) and set(values) == {"not"}:
        left_out = values["not"] if isinstance(values["not"], list) else [values["not"]]
        choice = axis.get("choice") if isinstance(axis, Mapping) else None
        values = [value for value in choice or () if not any(same(value, other) for other in left_out)]
    if isinstance(values, list):
        return values[0] if values else None
    return values


def _change_axis(study: YamlDocument, recipe: YamlDocument, change: Override, registry: Registry) -> YamlDocument:
    path = change.path.removeprefix(f"{SEARCH}.")
    try:
        keys = resolve_path(recipe, path, registry)
    except UnknownPart as error:
        raise error.at(str(change.place)) from error
    except UserError as error:
        raise UserError(f"{change.place}: {error}") from error
    value = change.value
    if not isinstance(value, Mapping):
        value = {"choice": value if isinstance(value, list) else [value]}
    name = axis_named(study, recipe, keys, registry) or path
    return study.put((SEARCH, name), YamlDocument(data=value, values={(): change.place}))


def _change_value(recipe: YamlDocument, change: Override, registry: Registry) -> tuple[YamlDocument, Keys]:
    path = change.path.removeprefix("recipe.")
    recipe = set_value(recipe, path, change.value, change.place, registry)
    return recipe, resolve_path(recipe, path, registry)


def _without_axis(study: YamlDocument, recipe: YamlDocument, keys: Keys, registry: Registry) -> YamlDocument:
    name = axis_named(study, recipe, keys, registry)
    if name is None:
        return study
    axes = {key: axis for key, axis in study.data[SEARCH].items() if key != name}
    return attrs.evolve(study, data={**study.data, SEARCH: axes})
