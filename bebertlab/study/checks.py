"""Checks of a study against its recipe: searched values are valid, exclude and questions name what is searched."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Keys, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.errors import UnknownPart, UserError, suggestion
from bebertlab.interfaces.events import Question
from bebertlab.interfaces.sampler import SearchDimension
from bebertlab.interfaces.values import same
from bebertlab.pipeline.graph import result_of
from bebertlab.pipeline.paths import resolve_path, set_value
from bebertlab.pipeline.read import structure_recipe
from bebertlab.registry.registry import Registry
from bebertlab.study.overrides import SEARCH, axis_named, resolve_axis
from bebertlab.study.space import excluded, existing
from bebertlab.study.study import show

_NEAR = 1000  # points looked at before a value counts as excluded at every point
_NOT = "not"  # in a line of an item: all choices but these
_TRIES = 8  # points tried before a value counts as invalid by itself

Point = tuple[tuple[str, YamlDocument], ...]


def check_paths(study: YamlDocument, recipe: YamlDocument, registry: Registry, errors: ErrorCollector) -> None:
    """Check that every searched path exists, and is searched once."""
    axes = study.data.get(SEARCH)
    seen: dict[Keys, str] = {}
    for name in axes if isinstance(axes, Mapping) else ():
        try:
            keys = resolve_axis(study, recipe, name, registry)
        except UnknownPart as error:
            place = study.key_place((SEARCH, name))
            errors.add_error(error.at(f"{place}: {SEARCH}"), place)
            continue
        except UserError as error:
            errors.add_at(study.key_place((SEARCH, name)), SEARCH, str(error))
            continue
        if keys == ("seed",):
            errors.add(study, (SEARCH, name), "seeds are listed under seeds, not searched", key=True)
        elif keys in seen:
            errors.add(study, (SEARCH, name), f"searches the same as {seen[keys]}", key=True)
        seen[keys] = name


def check_values(
    study: YamlDocument,
    recipe: YamlDocument,
    search: Mapping[str, SearchDimension],
    exclude: Iterable[Mapping[str, Any]],
    codec: OptionsCodec,
    errors: ErrorCollector,
) -> None:
    """Check that every listed value of a path is valid at some point that is not excluded.

    `search` has the conditions under which paths exist; a path that never does is not in it.

    A recipe may be invalid by itself and valid at every point, so searched paths are checked at points only. A value
    that is valid with some values of other paths and invalid with others is found by `check_points`.
    """
    axes = dict(_written_axes(study, recipe, codec.registry))
    axes = {name: values for name, values in axes.items() if name in search}
    exclude = [item for item in exclude if axes.keys() >= item.keys()]
    if not axes:
        _check_recipe(recipe, codec, errors)
    for name in axes:
        for value in axes[name]:
            first: ErrorCollector | None = None
            for point in _near_points(axes, name, value, search, exclude):
                found = _errors_at(recipe, point, codec)
                first = first or found
                if not found:
                    break
            else:
                errors.extend(
                    first or ErrorCollector(), once=True
                )  # an error of the recipe itself is one of every point
                if not _is_choice(study, name):
                    break  # an error at one end of a range mostly is one at the other


def _errors_at(recipe: YamlDocument, point: Point, codec: OptionsCodec) -> ErrorCollector:
    errors = ErrorCollector()
    try:
        for name, value in point:
            recipe = set_value(recipe, name, value.data, value.place(), codec.registry)
        _check_recipe(recipe, codec, errors)
    except UserError as error:
        errors.add_error(error)
    return errors


def _check_recipe(document: YamlDocument, codec: OptionsCodec, errors: ErrorCollector) -> None:
    """Note the errors of a recipe; trials are compared by the metrics of one stage, so it needs one result."""
    recipe = structure_recipe(document, codec, errors)
    if recipe is None:
        return
    try:
        result_of(recipe)
    except UserError as error:
        errors.add(document, ("stages",), str(error), key=True)


@attrs.frozen(kw_only=True, eq=False)
class Changed:
    """A study and its recipe after overrides, and what was searched before them."""

    document: YamlDocument  #: of the study
    recipe: YamlDocument
    before: Mapping[str, SearchDimension]  #: what was searched; an item may name a path that `--set` fixed
    search: Mapping[str, SearchDimension]  #: what is searched
    registry: Registry
    errors: ErrorCollector  #: takes the errors


def settle_exclude(items: Mapping[int, Mapping[str, Any]], changed: Changed) -> tuple[Mapping[str, Any], ...]:
    """Check the items of `exclude`, and drop lines of paths that do not vary any more; `items` by their index.

    A line `{not: values}` becomes the other choices of its axis.
    """
    settled = []
    for index, item in items.items():
        if not item:
            changed.errors.add(changed.document, ("exclude", index), "is empty and would exclude every point")
            continue
        before = len(changed.errors)
        # without its invalid lines an item excludes more, so no point is reported by mistake
        lines = _lines(item, ("exclude", index), "list the excluded values", changed)
        kept = {line.name: line.values for line in lines if line.values is not None}
        if all(line.matches for line in lines) and (kept or len(changed.errors) == before):
            settled.append(kept)
    return tuple(settled)


def settle_conditions(changed: Changed) -> dict[str, SearchDimension]:
    """Check the conditions of searched paths; returns what is searched, without a path that exists at no point.

    A line `{not: values}` of a condition becomes the other choices of its axis.
    """
    settled: dict[str, SearchDimension] = {}
    paths = list(changed.search)
    for path, axis in changed.search.items():
        where: Keys = (SEARCH, path, "when")
        before = len(changed.errors)
        lines = _lines(axis.when, where, "list the values", changed)
        for line in lines:
            if line.name in paths[paths.index(path) :]:
                what = f"'{line.name}' must be searched above '{path}', whose existence depends on it"
                changed.errors.add(changed.document, where, what)
        searched = [line for line in lines if line.values is not None]
        exists = all(line.matches for line in lines) and all(line.name in settled for line in searched)
        if exists or len(changed.errors) > before:  # else the fixed value of another path leaves no point that has it
            settled[path] = attrs.evolve(axis, when={line.name: line.values for line in searched})
    return settled


def settle_questions(items: Mapping[int, Question], changed: Changed) -> tuple[Question, ...]:
    """Check the questions; one about a path that does not vary any more, or whose condition fails, is left out.

    A line `{not: values}` of a condition becomes the other choices of its axis.
    """
    settled = []
    recipe = changed.recipe.data
    stages = recipe.get("stages") if isinstance(recipe, Mapping) else None
    for index, question in items.items():
        where: Keys = ("questions", index)
        name = _axis(changed, question.compare, (*where, "compare"))
        if question.cost is not None and isinstance(stages, Mapping) and question.cost not in stages:
            what = f"there is no stage '{question.cost}'; {suggestion(question.cost, stages)}"
            changed.errors.add(changed.document, (*where, "cost"), what)
        if question.baseline is not None:
            _check_choices(changed, (*where, "baseline"), [question.baseline], name or "")
        condition, possible = _condition(question, where, name, changed)
        by = _by(question, where, name, changed)
        axis = changed.search.get(name or "")
        if name is None or axis is None or (axis.choice is not None and len(axis.choice) < 2) or not possible:
            continue
        kept = axis.choice is None or any(same(question.baseline, value) for value in axis.choice)
        baseline = question.baseline if kept else None
        settled.append(attrs.evolve(question, compare=name, baseline=baseline, where=condition or None, by=by))
    return tuple(settled)


def _condition(
    question: Question, where: Keys, compared: str | None, changed: Changed
) -> tuple[Mapping[str, Any], bool]:
    """The lines of a question's condition that still restrict something, and whether it can be met."""
    if question.where is None:
        return {}, True
    where = (*where, "where")
    if not question.where:
        changed.errors.add(changed.document, where, "is empty; name a searched option and its values")
    lines = _lines(question.where, where, "list the values", changed)
    if any(line.name == compared for line in lines):
        changed.errors.add(changed.document, where, f"'{compared}' is compared; a condition names other paths")
    kept = {}
    for line in lines:
        axis = changed.search.get(line.name)
        if line.values is not None and not (axis and axis.choice and len(axis.choice) == len(line.values)):
            kept[line.name] = line.values
    return kept, all(line.matches for line in lines)


def _by(question: Question, where: Keys, compared: str | None, changed: Changed) -> str | None:
    """The path whose values are answered separately; None where it has one value only."""
    if question.by is None:
        return None
    where = (*where, "by")
    name = _axis(changed, question.by, where)
    axis = changed.search.get(name or "")
    if name is not None and name == compared:
        changed.errors.add(changed.document, where, f"'{name}' is compared; name another searched option")
    if axis is not None and axis.choice is None:
        changed.errors.add(changed.document, where, f"'{name}' is a range; only an option with a choice can be split")
    return name if axis is not None and axis.choice is not None and len(axis.choice) > 1 else None


@attrs.frozen(kw_only=True)
class _Line:
    """A line of an item: a path and its values."""

    name: str
    values: list[Any] | None  #: those that are still searched; None where an override fixed the path
    matches: bool  #: some point has them


def _lines(item: Mapping[str, Any], where: Keys, instead: str, changed: Changed) -> list[_Line]:
    """The valid lines of an item; `instead` is the advice where `{not: ...}` is not possible."""
    search, errors = changed.search, changed.errors
    lines = []
    for path, values in item.items():
        before = len(errors)
        name = _axis(changed, path, (*where, path))
        wanted, others = _written(values)
        if name is not None:
            _check_choices(changed, (*where, path), wanted, name)
            _check_range(changed, (*where, path), wanted, name)
        if name is None or len(errors) > before:
            continue
        if name not in search:
            matches = excluded({name: _fixed(changed, name)}, [{name: wanted}]) is not others
            lines.append(_Line(name=name, values=None, matches=matches))
        elif others and search[name].choice is None:
            what = f"'{name}' is a range, which has no other choices; {instead}"
            errors.add(changed.document, (*where, path), what)
        else:
            left = _left(search[name], wanted, others=others)
            lines.append(_Line(name=name, values=left, matches=bool(left)))
    return lines


def _written_axes(
    study: YamlDocument, recipe: YamlDocument, registry: Registry
) -> Iterable[tuple[str, list[YamlDocument]]]:
    """The paths that exist with their written values, also the ends of ranges; outer paths before inner ones."""
    axes = study.data.get(SEARCH)
    found: list[tuple[int, str, list[YamlDocument]]] = []
    for name, axis in axes.items() if isinstance(axes, Mapping) else ():
        kind = next(
            (kind for kind in attrs.fields_dict(SearchDimension) if isinstance(axis, Mapping) and kind in axis), None
        )
        try:
            depth = len(resolve_axis(study, recipe, name, registry))
        except UserError:
            continue
        if kind is not None and isinstance(axis[kind], list) and axis[kind]:
            values = [study.at((SEARCH, name, kind, index)) for index in range(len(axis[kind]))]
            found.append((depth, name, [_drawn(value) for value in values] if "uniform" in kind else values))
    return [(name, values) for _, name, values in sorted(found, key=lambda axis: axis[0])]


def _is_choice(study: YamlDocument, name: str) -> bool:
    return study.has((SEARCH, name, "choice"))


def _drawn(end: YamlDocument) -> YamlDocument:
    """An end of a range of real numbers, as a sampler draws it."""
    return attrs.evolve(end, data=float(end.data)) if type(end.data) is int else end


def _near_points(
    axes: Mapping[str, list[YamlDocument]],
    name: str,
    value: YamlDocument,
    search: Mapping[str, SearchDimension],
    exclude: list[Mapping[str, Any]],
) -> Iterable[Point]:
    """The first points with a value that are not excluded, of those looked at."""
    choices = [[value] if axis == name else values for axis, values in axes.items()]
    products = itertools.islice(itertools.product(*choices), _NEAR)
    points = (_existing(dict(zip(axes, values, strict=True)), search) for values in products)
    kept = (
        point
        for point in points
        if name in dict(point) and not excluded({axis: value.data for axis, value in point}, exclude)
    )
    return itertools.islice(kept, _TRIES)


def _existing(point: Mapping[str, YamlDocument], search: Mapping[str, SearchDimension]) -> Point:
    """The values of the paths that exist at a point."""
    kept = existing(search, {path: value.data for path, value in point.items()})
    return tuple((path, value) for path, value in point.items() if path in kept)


def _axis(changed: Changed, path: str, where: Keys) -> str | None:
    """The searched path that a path means; an error where it means none."""
    document, recipe, before, registry = changed.document, changed.recipe, changed.before, changed.registry
    if path in before or path in (document.data.get(SEARCH) or ()):
        return path
    try:
        name = axis_named(document, recipe, resolve_path(recipe, path, registry), registry)
    except UnknownPart as error:
        changed.errors.add_error(error.at(str(document.key_place(where))), document.key_place(where))
        return None
    except UserError as error:
        changed.errors.add_at(document.key_place(where), "", str(error))
        return None
    if name is None:
        changed.errors.add(document, where, f"'{path}' is not searched; {suggestion(path, before)}")
    return name


def _check_choices(changed: Changed, where: Keys, values: list[Any], name: str) -> None:
    """Note an error for every value that is not a choice, and was not before."""
    axes = (changed.before.get(name), changed.search.get(name))
    choices = [value for axis in axes if axis is not None for value in axis.choice or ()]
    if not choices:
        return
    for value in values:
        if not any(same(value, choice) for choice in choices):
            known = ", ".join(dict.fromkeys(map(show, choices)))
            changed.errors.add(changed.document, where, f"{show(value)} is not one of the choices: {known}")


def _check_range(changed: Changed, where: Keys, values: list[Any], name: str) -> None:
    """Note an error for every value outside a range: no point would have it."""
    axes = [axis for axis in (changed.before.get(name), changed.search.get(name)) if axis is not None]
    if not axes or any(axis.choice is not None for axis in axes):
        return
    low, high = axes[-1].range
    if all(axis.integer is None for axis in axes):
        what = f"'{name}' is a range of real numbers, whose values cannot be listed; search a choice instead"
        changed.errors.add(changed.document, where, what)
        return
    for value in values:
        if type(value) is not int or not any(axis.range[0] <= value <= axis.range[1] for axis in axes):
            what = f"{show(value)} is not an integer from {low} to {high}"
            changed.errors.add(changed.document, where, what)


def _written(values: object) -> tuple[list[Any], bool]:
    """The values of a line of an item, and whether all others are meant."""
    others = isinstance(values, Mapping) and set(values) == {_NOT}
    listed = values[_NOT] if isinstance(values, Mapping) and others else values
    return listed if isinstance(listed, list) else [listed], others


def _left(axis: SearchDimension, values: list[Any], *, others: bool) -> list[Any]:
    """Those of the values that are still choices, or all other choices."""
    if axis.choice is None:
        return values
    if others:
        return [choice for choice in axis.choice if not any(same(value, choice) for value in values)]
    return [value for value in values if any(same(value, choice) for choice in axis.choice)]


def _fixed(changed: Changed, name: str) -> object:
    """The value of a recipe at a path; the bare kind of a part without options."""
    recipe = changed.recipe
    keys = resolve_path(recipe, name, changed.registry)
    value = recipe.get(keys) if recipe.has(keys) else None
    return value["kind"] if isinstance(value, Mapping) and set(value) == {"kind"} else value
