"""Reading a study: its file, its recipe's files and the command line give one value, or a list of all errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Keys, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.yaml import read_yaml
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.events import Question
from bebertlab.interfaces.sampler import PointListOptions, SamplerOptions, SearchDimension
from bebertlab.locations import path_from
from bebertlab.pipeline.locate import has_relative_paths, rebased
from bebertlab.pipeline.paths import find_target, resolve_path
from bebertlab.pipeline.read import extended, read_recipe
from bebertlab.registry.manager import Plugins
from bebertlab.registry.registry import Registry
from bebertlab.study.checks import (
    Changed,
    check_paths,
    check_values,
    settle_conditions,
    settle_exclude,
    settle_questions,
)
from bebertlab.study.overrides import (
    SEARCH,
    Override,
    axis_named,
    override_recipe,
    override_study,
    parse_override,
    recipe_of_axis,
    sort_overrides,
    written_overrides,
)
from bebertlab.study.space import space_size
from bebertlab.study.study import Study

Load = Callable[[Sequence[Path]], Plugins]
"""Loads the installed plugins and the given files."""

_DEFAULT_SAMPLER = "grid"
_ONLY_IN_FILES = ("set", "smoke")
_NOTHING = YamlDocument(data={})


@frozen(kw_only=True, eq=False)
class LoadedStudy:
    """A valid study, and the plugins that it needs."""

    study: Study
    plugins: Plugins


def read_study(path: Path, load: Load, *, sets: Sequence[str] = (), smoke: bool = False) -> LoadedStudy:
    """Read a study.

    `sets` are the texts of `--set`. They override `smoke`, the file's small version, which overrides the rest of it.

    Raises:
        UserError: every error of the study, its recipe and the command line, one a line.
    """
    document = read_yaml(path)
    if not isinstance(document.data, Mapping):
        raise UserError(f"{path}:1:1: a study is a mapping with at least name and recipe")
    load = _once(load)
    errors = ErrorCollector()
    source = _source(document, path, load, sets, smoke, errors)
    if not sets and not smoke and "smoke" in document.data:  # with `--set` it may be invalid for another reason
        small = ErrorCollector()
        _source(document, path, load, (), True, small)
        errors.extend(small, once=True)
    errors.raise_all()
    if source is None:
        raise AssertionError("a study that is None has errors")
    return source


def _once(load: Load) -> Load:
    """A loader that loads the same files once."""
    loaded: dict[tuple[Path, ...], Plugins] = {}

    def load_once(files: Sequence[Path]) -> Plugins:
        if tuple(files) not in loaded:
            loaded[tuple(files)] = load(files)
        return loaded[tuple(files)]

    return load_once


def _source(
    document: YamlDocument, path: Path, load: Load, sets: Sequence[str], smoke: bool, errors: ErrorCollector
) -> LoadedStudy | None:
    """The study of a file's document with overrides; None where errors were noted."""
    asked = _asked(sets, errors)
    moved = [change for change in asked if change.path == "relative_to"]
    document = _with_base(override_study(document, moved, errors), path, errors)
    changes = _changes(document, asked, smoke, errors)
    settings = written_overrides(document, "set", errors)
    document = override_study(document, changes, errors)
    plugins = load(_plugin_files(document, errors))
    recipe = _recipe(document, errors)
    if recipe is None:
        return None
    name = document.data.get("recipe_name") or _name(document, path)
    document = attrs.evolve(document, data={k: v for k, v in document.data.items() if k not in _ONLY_IN_FILES})
    _check_settings(document, recipe, settings, plugins.registry, errors)
    _, recipe = override_recipe(document, recipe, settings, plugins.registry, errors)
    original = document
    document, recipe = override_recipe(document, recipe, changes, plugins.registry, errors)
    reading = _Reading(document, original, recipe, OptionsCodec(plugins.registry), errors)
    study = reading.study(name, plugins)
    if study is None:
        return None
    return LoadedStudy(study=attrs.evolve(study, is_smoke=study.is_smoke or smoke), plugins=plugins)


class _Reading:
    """The documents after all overrides."""

    def __init__(
        self,
        document: YamlDocument,
        original: YamlDocument,
        recipe: YamlDocument,
        codec: OptionsCodec,
        errors: ErrorCollector,
    ) -> None:
        self.document = document
        self.original = original
        self.recipe = recipe
        self.codec = codec
        self.errors = errors

    def study(self, name: str, plugins: Plugins) -> Study | None:
        """The study; None where errors were noted."""
        self.check_keys()
        if "sampler" not in self.document.data:
            default = YamlDocument(data={"kind": _DEFAULT_SAMPLER}, values={(): self.document.place()})
            self.document = self.document.put(("sampler",), default)
        study = self.codec.structure(self.rebased_search().put(("recipe",), _NOTHING), (), Study, self.errors)
        check_paths(self.document, self.recipe, self.codec.registry, self.errors)
        search, before = self.searched(self.document), self.searched(self.original)
        changed = Changed(
            document=self.document,
            recipe=self.recipe,
            before=before,
            search=search,
            registry=self.codec.registry,
            errors=self.errors,
        )
        search = settle_conditions(changed)
        changed = attrs.evolve(changed, search=search)
        exclude = settle_exclude(self.items("exclude", Mapping[str, Any]), changed)
        questions = settle_questions(self.items("questions", Question), changed)
        check_values(self.document, self.recipe, search, exclude, self.codec, self.errors)
        self.check(search, exclude)
        if study is None or self.errors:
            return None
        return attrs.evolve(
            study,
            relative_to=self.base if self.has_relative_paths() else "",
            recipe=rebased(self.recipe, self.base, self.codec.registry).data,
            recipe_name=name,
            plugins=tuple(map(str, plugins.files)),
            search={
                path: attrs.evolve(axis, when=search[path].when)
                for path, axis in study.search.items()
                if path in search
            },
            exclude=exclude,
            questions=questions,
            objective=None if study.objectives else study.goals[0],
        )

    @property
    def base(self) -> str:
        """The folder that relative paths of the study start from."""
        return os.path.realpath(self.document.place().folder or os.curdir)

    def rebased_search(self) -> YamlDocument:
        """The study's document with searched paths of files relative to its folder, also those of `--set`."""
        document = self.document
        for keys, of in self.searched_values():
            document = document.put(keys, rebased(document.at(keys), self.base, self.codec.registry, of))
        return document

    def has_relative_paths(self) -> bool:
        """Whether the study names files relative to its folder."""
        registry = self.codec.registry
        return has_relative_paths(self.recipe, registry) or any(
            has_relative_paths(self.document.at(keys), registry, of) for keys, of in self.searched_values()
        )

    def searched_values(self) -> Iterator[tuple[Keys, object]]:
        """The keys of the listed values of searched paths, and their annotated types."""
        axes = self.document.data.get(SEARCH)
        for name in axes if isinstance(axes, Mapping) else ():
            place: Keys = (SEARCH, name, "choice")
            values = self.document.get(place) if self.document.has(place) else None
            try:
                recipe = recipe_of_axis(self.document, self.recipe, name, self.codec.registry)
                of = find_target(recipe, name, self.codec.registry).type
            except UserError:  # noted by check_paths
                continue
            yield from (((*place, index), of) for index in range(len(values) if isinstance(values, list) else 0))

    def searched(self, document: YamlDocument) -> Mapping[str, SearchDimension]:
        """The valid ones of the searched paths, so that the errors of the others are found as well."""
        axes = document.data.get(SEARCH)
        read = {
            name: self.codec.structure(document, (SEARCH, name), SearchDimension, ErrorCollector())
            for name in (axes if isinstance(axes, Mapping) else ())
        }
        return {name: axis for name, axis in read.items() if axis is not None}

    def items(self, key: str, of: Any) -> dict[int, Any]:  # noqa: ANN401 - any annotation
        """The valid items of a list, by their index."""
        listed = self.document.data.get(key)
        count = len(listed) if isinstance(listed, list) else 0
        found = {
            index: self.codec.structure(self.document, (key, index), of, ErrorCollector()) for index in range(count)
        }
        return {index: item for index, item in found.items() if item is not None}

    def check_keys(self) -> None:
        """Note unknown keys, and leave them out."""
        known = [*attrs.fields_dict(Study), *_ONLY_IN_FILES]
        wrong = [key for key in self.document.data if key not in known]
        for key in wrong:
            inner = key in self.sampler_options() and key != "seed"  # which is meant to be `seeds`
            advice = f"it belongs in `sampler`, e.g. sampler: {{{key}: ...}}" if inner else suggestion(str(key), known)
            self.errors.add(self.document, (key,), f"unknown key; {advice}", key=True)
        self.document = attrs.evolve(
            self.document, data={key: item for key, item in self.document.data.items() if key not in wrong}
        )

    def sampler_options(self) -> set[str]:
        """The names of all options of samplers."""
        samplers = [entry.cls for entry in self.codec.registry.all() if entry.role == SamplerOptions.role]
        return {name for cls in samplers for name in attrs.fields_dict(cls)}

    def check(self, search: Mapping[str, SearchDimension], exclude: Sequence[Mapping[str, Any]]) -> None:
        """Note errors that concern more than one key."""
        union: Any = SamplerOptions | PointListOptions
        sampler = self.codec.structure(self.document, ("sampler",), union, ErrorCollector())
        for name, axis in search.items():
            if isinstance(sampler, PointListOptions) and not sampler.ranges and axis.choice is None:
                what = (
                    f"the sampler {sampler.kind} needs a choice; a range needs one that draws points, e.g. sampler: "
                    "{kind: random, trials: 20}"
                )
                self.errors.add(self.document, (SEARCH, name), what)
        objectives = self.document.data.get("objectives")
        if objectives == {}:
            what = "names no metric; e.g. objectives: {validation/score: max, cost/seconds: min}, or leave it out"
            self.errors.add(self.document, ("objectives",), what)
        several = isinstance(objectives, Mapping) and len(objectives) > 1
        if several and isinstance(sampler, SamplerOptions) and not sampler.multi_objective:
            what = f"the sampler {sampler.kind} takes one objective, and objectives has {len(objectives)}"
            self.errors.add(self.document, ("sampler",), what)
        if not self.errors and space_size(search, exclude) == 0:
            self.errors.add(self.document, ("exclude",), "excludes every point")


def _changes(document: YamlDocument, asked: Sequence[Override], smoke: bool, errors: ErrorCollector) -> list[Override]:
    if smoke and "smoke" not in document.data:
        errors.add(document, (), "has no `smoke`, the small version that --smoke runs")
    small = written_overrides(document, "smoke", errors)
    return [*(small if smoke else ()), *sort_overrides(asked)]


def _asked(sets: Sequence[str], errors: ErrorCollector) -> list[Override]:
    """The overrides of the command line."""
    asked = []
    for text in sets:
        try:
            asked.append(parse_override(text))
        except UserError as error:
            errors.add_error(error)
    return asked


def _with_base(document: YamlDocument, path: Path, errors: ErrorCollector) -> YamlDocument:
    """The document with relative paths in options of the recipe relative to the folder that it names.

    Plugins and the file of the recipe stay relative to the file.
    """
    named = document.data.get("relative_to")
    if not isinstance(named, str):
        return document
    place = document.place(("relative_to",))
    try:
        folder = str(path_from(place.folder, named).absolute())
    except UserError as error:
        errors.add(document, ("relative_to",), str(error))
        return document
    moved = {
        keys: attrs.evolve(place, folder=folder)
        for keys, place in document.values.items()
        if place.origin == str(path) and keys[:1] != ("plugins",) and keys != ("recipe",)
    }
    return attrs.evolve(document, values={**document.values, **moved})


def _plugin_files(document: YamlDocument, errors: ErrorCollector) -> list[Path]:
    files = []
    named = document.data.get("plugins")
    for index, name in enumerate(named if isinstance(named, list) else ()):
        file = _named_file(document, ("plugins", index), name, errors) if isinstance(name, str) else None
        files += [] if file is None else [file]
    return files


def _named_file(document: YamlDocument, path: Keys, name: str, errors: ErrorCollector) -> Path | None:
    """The file that the study names at a path; None where there is none, which is noted."""
    try:
        file = path_from(document.place(path).folder, name)
    except UserError as error:
        errors.add(document, path, str(error))
        return None
    if file.is_file():
        return file
    what = "is a folder, expected a file" if file.is_dir() else "no such file"
    errors.add(document, path, f"{file}: {what}")
    return None


def _recipe(document: YamlDocument, errors: ErrorCollector) -> YamlDocument | None:
    named = document.data.get("recipe")
    file = _named_file(document, ("recipe",), named, errors) if isinstance(named, str) else None
    try:
        if file is not None:
            return read_recipe(file)
        if isinstance(named, str):
            return None
        if isinstance(named, Mapping):
            return extended(document.at(("recipe",)))
    except UserError as error:
        errors.add_error(error, document.place(("recipe",)))
        return None
    if named is None and "stages" in document.data:
        errors.add(document, (), "expected a study, got a recipe; use the commands of `bebertlab recipe`")
        return None
    what = "recipe is missing" if named is None else "must be the path of a recipe, or a recipe"
    errors.add(document, () if named is None else ("recipe",), f"{what}; e.g. recipe: recipes/bebert.yaml")
    return None


def _name(document: YamlDocument, path: Path) -> str:
    named = document.data["recipe"]
    return Path(named).stem if isinstance(named, str) else path.stem


def _check_settings(
    document: YamlDocument,
    recipe: YamlDocument,
    settings: Sequence[Override],
    registry: Registry,
    errors: ErrorCollector,
) -> None:
    for change in settings:
        if change.is_own or change.path.startswith(f"{SEARCH}."):
            errors.add_at(
                change.place, f"set.{change.path}", "`set` changes the recipe; write keys of the study directly"
            )
            continue
        try:
            keys = resolve_path(recipe, change.path, registry)
        except UserError:
            continue
        if axis_named(document, recipe, keys, registry) is not None:
            errors.add_at(change.place, f"set.{change.path}", "is searched as well; take it out of set or of search")
