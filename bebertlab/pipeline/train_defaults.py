"""A recipe's `train`: the defaults of every option of type `TrainOptions`, in stages and in groups of stages.

The type counts, not the name of the option, and the option may lie deeper, in other options or in a list. What a stage
writes itself wins, key by key; an option that may be null gets the defaults as well, unless the recipe writes null.

A group of stages passes its `TrainOptions` on to the stages that it makes. One that does not is refused where the
recipe has a `train`: its stages would train with other options than the recipe says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, cast

import attrs
from attrs import field, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Keys, Place, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.errors import UserError
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions
from bebertlab.pipeline.identity import inner_values
from bebertlab.pipeline.paths import alternatives, class_at, default_of, fields_of, items_of, role_of
from bebertlab.pipeline.recipe import Stage
from bebertlab.training.options import TrainOptions

_TRAIN = "train"
_STAGES = "stages"
_ABSENT: Any = attrs.NOTHING


def trains(stage: StageOptions) -> bool:
    """Whether a stage trains: its options hold `TrainOptions`."""
    return any(True for _ in _trainings(stage))


@frozen(kw_only=True, eq=False)
class TrainDefaults:
    """The stages of a recipe with its `train` as defaults, and what is needed to check that it reaches them."""

    document: YamlDocument  #: with the defaults
    bare: YamlDocument  #: without them
    codec: OptionsCodec
    given: Mapping[str, Any] = field(factory=dict)  #: the values that the recipe's `train` sets
    own: Mapping[str, AbstractSet[str]] = field(factory=dict)  #: stage to the keys that it sets

    @classmethod
    def of(cls, document: YamlDocument, codec: OptionsCodec) -> TrainDefaults:
        """Apply the `train` of a recipe's document as defaults of its stages, which are a mapping.

        An invalid `train` is left out: it is reported once, not for every stage.
        """
        written = document.data.get(_TRAIN)
        if not isinstance(written, Mapping):
            return cls(document=document, bare=document, codec=codec)
        train = codec.structure(document, (_TRAIN,), TrainOptions, ErrorCollector())
        if train is None:
            return cls(document=document, bare=document, codec=codec)
        layers = _Layers(document, written, codec)
        stages = {name: layers.stage(name, data) for name, data in document.data[_STAGES].items()}
        laid = attrs.evolve(document, data={**document.data, _STAGES: stages}, values=layers.values, keys=layers.keys)
        given = {key: getattr(train, key) for key in written}
        return cls(document=laid, bare=document, codec=codec, given=given, own=layers.own)

    def structure(self, name: str, errors: ErrorCollector) -> Stage | None:
        """A stage by its name; None where errors were noted."""
        path: Keys = (_STAGES, name)
        stage = self.codec.structure(self.document, path, _ROLE, errors)
        if stage is not None and self.given:
            bare = self.codec.structure(self.bare, path, _ROLE, ErrorCollector()) if _is_group(stage) else stage
            problem = self._unreached(name, stage, bare)
            if problem is not None:
                errors.add(self.document, path, problem)
        return stage

    def _unreached(self, name: str, stage: Stage, bare: Stage | None) -> str | None:
        """A sentence on the stages that the recipe's `train` does not reach; `bare` is the recipe without it."""
        singles, others = _singles(name, stage), _singles(name, bare)
        keys = [key for key in self.given if key not in self.own.get(name, ())]
        stages: dict[str, None] = {}
        lost: dict[str, object] = {}
        for single, options in singles.items():
            twins = dict(_trainings(others.get(single)))
            for path, train in _trainings(options):
                found = {key: getattr(train, key) for key in keys if self._is_lost(key, train, twins.get(path))}
                stages |= dict.fromkeys([single] if found else [])
                lost |= found
        if not lost:
            return None
        what = ", ".join(f"{key} would be {lost[key]}, not {self.given[key]}" for key in keys if key in lost)
        if not _is_group(stage):
            return f"the recipe's `train` does not reach all that '{stage.kind}' trains: {what}"
        return (
            f"the group '{stage.kind}' does not pass the recipe's `train` on to {', '.join(stages)}: {what}; it needs"
            " an option of type TrainOptions that it passes on, or a recipe with `train` in the other stages only"
        )

    def _is_lost(self, key: str, train: TrainOptions, bare: TrainOptions | None) -> bool:
        """Whether a value is the default of the class although the recipe sets another one.

        A value that differs from the default was set on purpose, by the group or by what it computes from its own.
        """
        value = getattr(train, key)
        if value == self.given[key] or (bare is not None and getattr(bare, key) != value):
            return False
        return bool(value == attrs.fields_dict(type(train))[key].default)


class _Layers:
    """One pass over the stages of a document."""

    def __init__(self, document: YamlDocument, given: Mapping[str, Any], codec: OptionsCodec) -> None:
        self.document = document
        self.given = given
        self.codec = codec
        self.values: dict[Keys, Place] = dict(document.values)
        self.keys: dict[Keys, Place] = dict(document.keys)
        self.own: dict[str, set[str]] = {}

    def stage(self, name: str, data: Any) -> Any:  # noqa: ANN401 - plain data
        """The data of a stage with the defaults."""
        return self.value((_STAGES, name), data, Stage, _ABSENT, written=True)

    def value(self, path: Keys, data: Any, of: Any, default: object, *, written: bool) -> Any:  # noqa: ANN401
        """Data of an annotated type with the defaults; `written`: by the recipe, not a default of a class.

        `data` is absent where the recipe says nothing; then `default` is what stands there.
        """
        if _is_train(of):
            return self.train(path, data, default, written=written)
        if data is _ABSENT:
            if not _may_train(default):
                return data
            data, written = self.sparse(default), False
        if role_of(of) is not None or any(map(_is_attrs, alternatives(of))):
            return self.fields(path, data, of, written=written)
        return self.items(path, data, of, written=written)

    def train(self, path: Keys, data: Any, default: object, *, written: bool) -> Any:  # noqa: ANN401 - plain data
        """Data of `TrainOptions` with the defaults."""
        if data is _ABSENT or (data is None and not written):
            data, written = self.sparse(default) if isinstance(default, TrainOptions) else {}, False
        if not isinstance(data, Mapping):
            return data
        inherited = [key for key in self.given if key not in data or not written]
        for key in inherited:
            self.values[(*path, key)] = self.document.place((_TRAIN, key))
            self.keys[(*path, key)] = self.document.key_place((_TRAIN, key))
        if written:
            self.own.setdefault(str(path[1]), set()).update(data)
        return {**data, **{key: self.given[key] for key in inherited}}

    def fields(self, path: Keys, data: Any, of: Any, *, written: bool) -> Any:  # noqa: ANN401 - plain data
        """Data of a class with the defaults."""
        cls = class_at(YamlDocument.of(data), (), of, self.codec.registry)
        if cls is None or not isinstance(data, (str, Mapping)):
            return data
        mapping = {"kind": data} if isinstance(data, str) else data
        changed = {}
        for name, one in fields_of(cls).items():
            item = mapping.get(name, _ABSENT)
            laid = self.value((*path, name), item, one.type, default_of(one), written=written)
            if laid is not item:
                changed[name] = laid
        return {**mapping, **changed} if changed else data

    def items(self, path: Keys, data: Any, of: Any, *, written: bool) -> Any:  # noqa: ANN401 - plain data
        """Data of a list or a mapping with the defaults."""
        laid = {
            key: self.value((*path, key), item, one, _ABSENT, written=written) for key, item, one in items_of(data, of)
        }
        if not laid:
            return data
        return laid if isinstance(data, Mapping) else list(laid.values())

    def sparse(self, value: Any) -> Any:  # noqa: ANN401 - plain data
        """Plain data of a default value; of `TrainOptions` only what differs from the defaults of the class."""
        if isinstance(value, TrainOptions):
            fields = {one.alias: (getattr(value, one.name), one.default) for one in attrs.fields(type(value))}
            return {name: self.codec.dump(item) for name, (item, default) in fields.items() if item != default}
        if isinstance(value, Mapping):
            return {str(key): self.sparse(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.sparse(item) for item in value]
        if _is_attrs(type(value)):
            kind = {"kind": value.kind} if isinstance(value, Options) else {}
            return {**kind, **{name: self.sparse(getattr(value, one.name)) for name, one in _fields(value)}}
        return self.codec.dump(value)


_ROLE = cast("type[Stage]", Stage)


def _is_group(stage: Stage) -> bool:
    return isinstance(stage, StageGroupOptions)


def _is_attrs(of: object) -> bool:
    return isinstance(of, type) and attrs.has(of)


def _is_train(of: object) -> bool:
    return any(isinstance(one, type) and issubclass(one, TrainOptions) for one in alternatives(of))


def _fields(value: object) -> Iterable[tuple[str, attrs.Attribute[Any]]]:
    return fields_of(type(value)).items()


def _may_train(value: object) -> bool:
    """Whether a default value holds `TrainOptions`, or an option that could."""
    if isinstance(value, Mapping):
        return any(map(_may_train, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_may_train, value))
    if value is attrs.NOTHING or isinstance(value, Enum) or not _is_attrs(type(value)):
        return False
    return isinstance(value, TrainOptions) or any(
        _is_train(one.type) or _may_train(getattr(value, one.name)) for _, one in _fields(value)
    )


def _trainings(value: object) -> Iterator[tuple[str, TrainOptions]]:
    """All `TrainOptions` in a value, each with the path that leads to it."""
    return ((path, inner) for path, inner in inner_values(value, "") if isinstance(inner, TrainOptions))


def _singles(name: str, stage: Stage | None) -> Mapping[str, StageOptions]:
    """The single stages of a stage of the recipe; none where it is invalid."""
    if not isinstance(stage, StageGroupOptions):
        return {} if stage is None else {name: stage}
    try:
        return stage.expand(name)
    except UserError:  # reported where the graph is checked
        return {}
