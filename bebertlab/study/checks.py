"""What a study says of its recipe: that every choice fits, and that exclude and questions speak of what is searched."""

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
from bebertlab.study.overrides import SEARCH, axis_named
from bebertlab.study.space import excluded
from bebertlab.study.study import show

_NEAR = 1000  # points looked at until a value is taken to be excluded altogether
_NOT = "not"  # what a line of an item says instead of listing all other choices
_TRIES = 8  # points tried until a value is taken to be wrong by itself

Point = tuple[tuple[str, YamlDocument], ...]


def check_paths(study: YamlDocument, recipe: YamlDocument, registry: Registry, faults: ErrorCollector) -> None:
    """Check that every searched path exists, and is searched once."""
    axes = study.data.get(SEARCH)
    seen: dict[Keys, str] = {}
    for name in axes if isinstance(axes, Mapping) else ():
        try:
            keys = resolve_path(recipe, name, registry)
        except UnknownPart as error:
            place = study.key_place((SEARCH, name))
            faults.add_error(error.at(f"{place}: {SEARCH}"), place)
            continue
        except UserError as error:
            faults.add_at(study.key_place((SEARCH, name)), SEARCH, str(error))
            continue
        if keys == ("seed",):
            faults.add(study, (SEARCH, name), "seeds are listed under seeds, not searched", key=True)
        elif keys in seen:
            faults.add(study, (SEARCH, name), f"searches the same as {seen[keys]}", key=True)
        seen[keys] = name


def check_values(
    study: YamlDocument,
    recipe: YamlDocument,
    exclude: Iterable[Mapping[str, Any]],
    codec: OptionsCodec,
    faults: ErrorCollector,
) -> None:
    """Check that the recipe takes every value that is listed for a path, at some point that is not excluded.

    A recipe may be wrong by itself and right at every point: what is searched in it is looked at there only. A value
    that is right with some values of other paths and wrong with others is not found here but by `check_points`.
    """
    axes = dict(_written_axes(study, recipe, codec.registry))
    exclude = [item for item in exclude if axes.keys() >= item.keys()]
    if not axes:
        _check_recipe(recipe, codec, faults)
    for name in axes:
        for value in axes[name]:
            first: ErrorCollector | None = None
            for point in _near_points(axes, name, value, exclude):
                found = _faults_at(recipe, point, codec)
                first = first or found
                if not found:
                    break
            else:
                faults.extend(
                    first or ErrorCollector(), once=True
                )  # a fault of the recipe itself is one of every point
                if not _is_choice(study, name):
                    break  # what is wrong with one end of a range mostly is with the other


def _faults_at(recipe: YamlDocument, point: Point, codec: OptionsCodec) -> ErrorCollector:
    faults = ErrorCollector()
    try:
        for name, value in point:
            recipe = set_value(recipe, name, value.data, value.place(), codec.registry)
        _check_recipe(recipe, codec, faults)
    except UserError as error:
        faults.add_error(error)
    return faults


def _check_recipe(document: YamlDocument, codec: OptionsCodec, faults: ErrorCollector) -> None:
    """Note the faults of a recipe; trials are compared by the metrics of one stage, so it needs one result."""
    recipe = structure_recipe(document, codec, faults)
    if recipe is None:
        return
    try:
        result_of(recipe)
    except UserError as error:
        faults.add(document, ("stages",), str(error), key=True)


@attrs.frozen(kw_only=True, eq=False)
class Changed:
    """A study and its recipe after changes from outside, and what the study was before them."""

    document: YamlDocument  #: of the study
    recipe: YamlDocument
    before: Mapping[str, SearchDimension]  #: what was searched; an item may name a path that `--set` fixed
    search: Mapping[str, SearchDimension]  #: what is searched
    registry: Registry
    faults: ErrorCollector  #: where faults are noted


def settle_exclude(items: Mapping[int, Mapping[str, Any]], changed: Changed) -> tuple[Mapping[str, Any], ...]:
    """Check what is left out, and take out of it what does not vary any more; `items` by their numbers in the file.

    A line `{not: values}` becomes the other choices of its axis.
    """
    settled = []
    for index, item in items.items():
        if not item:
            changed.faults.add(changed.document, ("exclude", index), "is empty and would leave out everything")
            continue
        before = len(changed.faults)
        # without its wrong lines an item leaves out more: no point is called wrong by mistake
        lines = _lines(item, ("exclude", index), "list what is left out", changed)
        kept = {line.name: line.values for line in lines if line.values is not None}
        if all(line.matches for line in lines) and (kept or len(changed.faults) == before):
            settled.append(kept)
    return tuple(settled)


def settle_questions(items: Mapping[int, Question], changed: Changed) -> tuple[Question, ...]:
    """Check what is asked; a question about what does not vary any more, or whose condition fails, is left out.

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
            changed.faults.add(changed.document, (*where, "cost"), what)
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
    """The lines of a question's condition that still say something, and whether it can be met."""
    if question.where is None:
        return {}, True
    where = (*where, "where")
    if not question.where:
        changed.faults.add(changed.document, where, "is empty; name a searched option and its values")
    lines = _lines(question.where, where, "list those that count", changed)
    if any(line.name == compared for line in lines):
        changed.faults.add(changed.document, where, f"'{compared}' is what is compared; a condition is about others")
    said = {}
    for line in lines:
        axis = changed.search.get(line.name)
        if line.values is not None and not (axis and axis.choice and len(axis.choice) == len(line.values)):
            said[line.name] = line.values
    return said, all(line.matches for line in lines)


def _by(question: Question, where: Keys, compared: str | None, changed: Changed) -> str | None:
    """The axis whose values are answered apart; None where it has only one."""
    if question.by is None:
        return None
    where = (*where, "by")
    name = _axis(changed, question.by, where)
    axis = changed.search.get(name or "")
    if name is not None and name == compared:
        changed.faults.add(changed.document, where, f"'{name}' is what is compared; name another searched option")
    if axis is not None and axis.choice is None:
        changed.faults.add(changed.document, where, f"'{name}' is a range; only an option with a choice can be split")
    return name if axis is not None and axis.choice is not None and len(axis.choice) > 1 else None


@attrs.frozen(kw_only=True)
class _Line:
    """A line of an item: an axis and its values."""

    name: str
    values: list[Any] | None  #: those that the axis still has; None where it was fixed from outside
    matches: bool  #: some point can have them


def _lines(item: Mapping[str, Any], where: Keys, instead: str, changed: Changed) -> list[_Line]:
    """The lines of an item that have no faults; `instead` says what can be done where `{not: ...}` cannot."""
    search, faults = changed.search, changed.faults
    found = []
    for path, values in item.items():
        before = len(faults)
        name = _axis(changed, path, (*where, path))
        wanted, others = _written(values)
        if name is not None:
            _check_choices(changed, (*where, path), wanted, name)
            _check_range(changed, (*where, path), wanted, name)
        if name is None or len(faults) > before:
            continue
        if name not in search:
            matches = excluded({name: _fixed(changed, name)}, [{name: wanted}]) is not others
            found.append(_Line(name=name, values=None, matches=matches))
        elif others and search[name].choice is None:
            what = f"'{name}' is a range, which has no other choices; {instead}"
            faults.add(changed.document, (*where, path), what)
        else:
            left = _left(search[name], wanted, others=others)
            found.append(_Line(name=name, values=left, matches=bool(left)))
    return found


def _written_axes(
    study: YamlDocument, recipe: YamlDocument, registry: Registry
) -> Iterable[tuple[str, list[YamlDocument]]]:
    """The axes whose paths exist with the values written for them, the ends of a range among them; outer ones first."""
    axes = study.data.get(SEARCH)
    found: list[tuple[int, str, list[YamlDocument]]] = []
    for name, axis in axes.items() if isinstance(axes, Mapping) else ():
        kind = next(
            (kind for kind in attrs.fields_dict(SearchDimension) if isinstance(axis, Mapping) and kind in axis), None
        )
        try:
            depth = len(resolve_path(recipe, name, registry))
        except UserError:
            continue
        if kind is not None and isinstance(axis[kind], list) and axis[kind]:
            values = [study.at((SEARCH, name, kind, index)) for index in range(len(axis[kind]))]
            found.append((depth, name, [_drawn(value) for value in values] if "uniform" in kind else values))
    return [(name, values) for _, name, values in sorted(found, key=lambda axis: axis[0])]


def _is_choice(study: YamlDocument, name: str) -> bool:
    return study.has((SEARCH, name, "choice"))


def _drawn(end: YamlDocument) -> YamlDocument:
    """An end of a range of numbers, as a sampler would draw it."""
    return attrs.evolve(end, data=float(end.data)) if type(end.data) is int else end


def _near_points(
    axes: Mapping[str, list[YamlDocument]], name: str, value: YamlDocument, exclude: list[Mapping[str, Any]]
) -> Iterable[Point]:
    """The first few points with a value that are not excluded; none where there is none near."""
    choices = [[value] if axis == name else values for axis, values in axes.items()]
    points = (tuple(zip(axes, values, strict=True)) for values in itertools.islice(itertools.product(*choices), _NEAR))
    kept = (point for point in points if not excluded({axis: one.data for axis, one in point}, exclude))
    return itertools.islice(kept, _TRIES)


def _axis(changed: Changed, path: str, where: Keys) -> str | None:
    """The axis that a path means; a fault where it means none."""
    document, recipe, before, registry = changed.document, changed.recipe, changed.before, changed.registry
    if path in before or path in (document.data.get(SEARCH) or ()):
        return path
    try:
        name = axis_named(document, recipe, resolve_path(recipe, path, registry), registry)
    except UnknownPart as error:
        changed.faults.add_error(error.at(str(document.key_place(where))), document.key_place(where))
        return None
    except UserError as error:
        changed.faults.add_at(document.key_place(where), "", str(error))
        return None
    if name is None:
        changed.faults.add(document, where, f"'{path}' is not searched; {suggestion(path, before)}")
    return name


def _check_choices(changed: Changed, where: Keys, values: list[Any], name: str) -> None:
    """A fault for every value that the axis has not, and had not before."""
    axes = (changed.before.get(name), changed.search.get(name))
    choices = [value for axis in axes if axis is not None for value in axis.choice or ()]
    if not choices:
        return
    for value in values:
        if not any(same(value, choice) for choice in choices):
            known = ", ".join(dict.fromkeys(map(show, choices)))
            changed.faults.add(changed.document, where, f"{show(value)} is none of the choices: {known}")


def _check_range(changed: Changed, where: Keys, values: list[Any], name: str) -> None:
    """A fault for every value that a range does not have: no point would have it."""
    axes = [axis for axis in (changed.before.get(name), changed.search.get(name)) if axis is not None]
    if not axes or any(axis.choice is not None for axis in axes):
        return
    low, high = axes[-1].range
    if all(axis.integer is None for axis in axes):
        what = f"'{name}' is a range of real numbers, of which none can be named; list choices instead"
        changed.faults.add(changed.document, where, what)
        return
    for value in values:
        if type(value) is not int or not any(axis.range[0] <= value <= axis.range[1] for axis in axes):
            what = f"{show(value)} is none of the whole numbers from {low} to {high}"
            changed.faults.add(changed.document, where, what)


def _written(values: object) -> tuple[list[Any], bool]:
    """The values of a line of an item, and whether it is the others that are meant."""
    others = isinstance(values, Mapping) and set(values) == {_NOT}
    listed = values[_NOT] if isinstance(values, Mapping) and others else values
    return listed if isinstance(listed, list) else [listed], others


def _left(axis: SearchDimension, values: list[Any], *, others: bool) -> list[Any]:
    """The values that an axis still has, or its others."""
    if axis.choice is None:
        return values
    if others:
        return [choice for choice in axis.choice if not any(same(value, choice) for value in values)]
    return [value for value in values if any(same(value, choice) for choice in axis.choice)]


def _fixed(changed: Changed, name: str) -> object:
    """The value that a recipe has at a path; of a part without options its bare kind."""
    recipe = changed.recipe
    keys = resolve_path(recipe, name, changed.registry)
    value = recipe.get(keys) if recipe.has(keys) else None
    return value["kind"] if isinstance(value, Mapping) and set(value) == {"kind"} else value
