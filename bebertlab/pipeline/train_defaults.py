"""A recipe's `train`: the defaults of every option of type `TrainOptions`, in stages and in groups of stages.

The type counts, not the name of the option, and the option may lie deeper, in other options or in a list. What a stage
writes itself wins, key by key; an option that may be null gets the defaults as well, unless the recipe writes null.

A group of stages passes its `TrainOptions` on to the stages that it makes. One that does not is refused where the
recipe has a `train`: its stages would train with other options than the recipe says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import attrs
from attrs import frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Keys, Place, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.schema import Schema, fields_of, schema_of
from bebertlab.errors import UserError
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions
from bebertlab.pipeline.identity import inner_values
from bebertlab.pipeline.recipe import STAGE, Stage
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
    given: Mapping[str, Any] = attrs.field(factory=dict)  #: the values that the recipe's `train` sets
    own: Mapping[str, AbstractSet[str]] = attrs.field(factory=dict)  #: stage to the keys that it sets

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
        stage = self.codec.structure(self.document, path, STAGE, errors)
        if stage is not None and self.given:
            bare = (
                self.codec.structure(self.bare, path, STAGE, ErrorCollector())
                if isinstance(stage, StageGroupOptions)
                else stage
            )
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
        if not isinstance(stage, StageGroupOptions):
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
        return self.value((_STAGES, name), data, schema_of(Stage), _ABSENT, written=True)

    def value(self, path: Keys, data: Any, of: Schema, default: object, *, written: bool) -> Any:  # noqa: ANN401
        """Data of a type with the defaults; `written`: by the recipe, not a default of a class.

        `data` is absent where the recipe says nothing; then `default` is what stands there.
        """
        if _is_train(of):
            return self.train(path, data, default, written=written)
        if data is not _ABSENT or default is attrs.NOTHING:
            return self.inner(path, data, of, written=written)
        bare = self.codec.dump(default)
        laid = self.inner(path, bare, of, written=False)
        return data if laid is bare else laid

    def train(self, path: Keys, data: Any, default: object, *, written: bool) -> Any:  # noqa: ANN401 - plain data
        """Data of `TrainOptions` with the defaults."""
        if data is _ABSENT or (data is None and not written):
            data, written = self.codec.dump(default) if isinstance(default, TrainOptions) else {}, False
        if not isinstance(data, Mapping):
            return data
        inherited = [key for key in self.given if key not in data or not written]
        for key in inherited:
            self.values[(*path, key)] = self.document.place((_TRAIN, key))
            self.keys[(*path, key)] = self.document.key_place((_TRAIN, key))
        if written:
            self.own.setdefault(str(path[1]), set()).update(data)
        return {**data, **{key: self.given[key] for key in inherited}}

    def inner(self, path: Keys, data: Any, of: Schema, *, written: bool) -> Any:  # noqa: ANN401 - plain data
        """Data of another type with the defaults inside of them; the same object where there are none."""
        cls = of.class_of(data, self.codec.registry)
        if cls is not None and isinstance(data, (str, Mapping)):
            mapping = {"kind": data} if isinstance(data, str) else data
            fields = fields_of(cls).items()
            items = [(name, mapping.get(name, _ABSENT), field.schema, field.default) for name, field in fields]
        else:
            mapping = dict(enumerate(data)) if isinstance(data, list) else data
            items = [(*item, attrs.NOTHING) for item in of.items(data)]
        changed = {}
        for key, item, schema, default in items:
            laid = self.value((*path, key), item, schema, default, written=written)
            if laid is not item:
                changed[key] = laid
        if not changed:
            return data
        return [*{**mapping, **changed}.values()] if isinstance(data, list) else {**mapping, **changed}


def _is_train(of: Schema) -> bool:
    return of.record is not None and issubclass(of.record, TrainOptions)


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
