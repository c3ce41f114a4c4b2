"""Stages of a recipe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self, TypeVar

from attrs import Attribute, field, fields, frozen

from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.task import Task
from bebertlab.interfaces.training_state import TrainingStates

T = TypeVar("T")

_INPUT = "bebertlab.input"
_PATH = "bebertlab.path"
_NAME = "bebertlab.name"
_NEUTRAL = "bebertlab.neutral"

#: metadata of an option that is a path: `field(metadata=EXCLUDED_FROM_KEY)`. It is not part of the key, so that moving
#: a file changes nothing: a stage needs another option that identifies the content; tasks and encoders have digests.
EXCLUDED_FROM_KEY: Mapping[str, bool] = MappingProxyType({_PATH: True})
#: metadata of an option that is either such a path or a name: a path if it is an existing folder or begins with `./`,
#: `../`, `~` or `/`
EXCLUDED_FROM_KEY_IF_PATH: Mapping[str, bool] = MappingProxyType({_PATH: True, _NAME: True})

#: metadata of an option whose default leaves all results as they were before the option existed: it is part of the key
#: only where it has another value, so that stages stored before keep their keys
OMITTED_FROM_KEY_AT_DEFAULT: Mapping[str, bool] = MappingProxyType({_NEUTRAL: True})


def stage_input(*, optional: bool = False, many: bool = False) -> Any:  # noqa: ANN401 - typed by its annotation
    """A field of a stage that names another stage of the recipe or, with `many`, a group of stages.

    A `many` field with the annotation `str | tuple[str, ...]` also takes a list of stages and groups.
    """
    metadata = {_INPUT: many}
    return field(default=None, metadata=metadata) if optional else field(metadata=metadata)


def excluded_fields(cls: type[Options]) -> tuple[str, ...]:
    """Fields of an options class whose metadata is `EXCLUDED_FROM_KEY` or `EXCLUDED_FROM_KEY_IF_PATH`."""
    return tuple(a.name for a in fields(cls) if _PATH in a.metadata)


def is_neutral(attribute: Attribute[Any], value: object) -> bool:
    """Whether the metadata of a field is `OMITTED_FROM_KEY_AT_DEFAULT` and the value is its default."""
    return _NEUTRAL in attribute.metadata and bool(value == attribute.default)


def may_be_name(attribute: Attribute[Any]) -> bool:
    """Whether the metadata of a field is `EXCLUDED_FROM_KEY_IF_PATH`."""
    return _NAME in attribute.metadata


def input_fields(cls: type[Options]) -> dict[str, bool]:
    """Fields of a stage's class that name inputs, and whether each may name a group."""
    return {a.name: bool(a.metadata[_INPUT]) for a in fields(cls) if _INPUT in a.metadata}


def input_names(stage: Options) -> dict[str, tuple[str, ...]]:
    """The names of stages or groups, as in the recipe, of every input that is set, by field name."""
    named = {name: getattr(stage, name) for name in input_fields(type(stage))}
    return {
        name: (value,) if isinstance(value, str) else tuple(value) for name, value in named.items() if value is not None
    }


@frozen(kw_only=True, eq=False)
class Artifact:
    """The result of a stage in the store: a read-only folder."""

    stage: str  #: name of the stage in the recipe
    key: str
    folder: Path
    seconds: float  #: how long the stage ran


@frozen(kw_only=True, eq=False)
class Inputs:
    """Artifacts of the input stages by field name; a group or a list gives one per stage, in order."""

    artifacts: Mapping[str, tuple[Artifact, ...]]

    def one(self, name: str) -> Artifact:
        """The artifact of an input that names a single stage."""
        (artifact,) = self.artifacts[name]
        return artifact

    def optional(self, name: str) -> Artifact | None:
        """The artifact of an input that names a single stage; None if it is not set."""
        artifacts = self.many(name)
        return artifacts[0] if artifacts else None

    def many(self, name: str) -> tuple[Artifact, ...]:
        """The artifacts of an input; empty if it is not set."""
        return self.artifacts.get(name, ())


class Codec(ABC):
    """Converts options of any plugin to plain data and back."""

    @abstractmethod
    def dump(self, value: object) -> Any:  # noqa: ANN401 - plain data: mappings, lists, strings, numbers
        """Plain data of an attrs value, `kind` included for options."""

    @abstractmethod
    def load(self, data: object, cls: type[T]) -> T:
        """The attrs value of plain data.

        Raises:
            UserError: all errors in the data, one per line.
        """

    @abstractmethod
    def plugin_of(self, part: Options) -> tuple[str, str]:
        """The plugin that registered a part, and its version: of its distribution, or `sha256 ...` of its text."""


class ProgressReporter(Protocol):
    """Reports the progress and the measured values of a running stage to observers."""

    def __call__(
        self,
        fraction: float,
        text: str,
        values: Mapping[str, float] = ...,
        *,
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        """Report a fraction (0 to 1) of the stage, a short text, e.g. "epoch 2/3", and measured values by name.

        `step` counts optimizer steps and `epoch` epochs since the stage began: the axes of the learning curves that
        the values are points of. A report without values may be dropped if the last one is less than half a second
        old; one with values never is.
        """


def ignore_progress(
    fraction: float,
    text: str,
    values: Mapping[str, float] = MappingProxyType({}),
    *,
    step: int | None = None,
    epoch: float | None = None,
) -> None:
    """The `ProgressReporter` for a stage or a training that nobody observes."""


@frozen(kw_only=True, eq=False)
class Context:
    """The environment of a running stage besides its inputs."""

    stage: str  #: name of the stage in the recipe
    folder: Path  #: empty folder to write the artifact into
    seed: int
    task: Task
    encoder: EncoderOptions
    codec: Codec
    device: str = "cpu"
    cache: Path | None = None  #: folder for data faster to read than to compute; may be emptied at any time
    progress: ProgressReporter  #: reports the progress of the stage, e.g. `context.progress(0.5, "epoch 2/3")`
    states: TrainingStates | None = None  #: keeps the state of the stage's training, see `set_up_training`
    #: called with a warning about the result, one sentence; it is kept with the artifact, so that a cached stage
    #: warns too, and names no stage: recipes that share it may use different names
    warn: Callable[[str], None]


@frozen(kw_only=True, eq=False)
class TokenizerSource:
    """The tokenizer of a planned model, and on request digests of everything that determines its tokens."""

    name: str  #: for messages, e.g. "the tokenizer of /models/teacher"
    key: str  #: two sources with the same key are the same tokenizer
    parts: Callable[[], Mapping[str, str]]  #: digests of all that determines tokens, e.g. of "vocabulary"; may be slow

    def different_parts(self, other: TokenizerSource) -> tuple[str, ...]:
        """Names of the parts that differ between the tokenizers; empty if they make the same tokens."""
        if self.key == other.key:
            return ()
        return different_parts(self.parts(), other.parts())


def different_parts(first: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the parts that differ between two tokenizers, by the digests of both.

    >>> different_parts({"vocabulary": "a", "normalizer": "b"}, {"vocabulary": "a", "normalizer": "c"})
    ('normalizer',)
    """
    return tuple(name for name, digest in first.items() if other.get(name) != digest)


@frozen(kw_only=True, eq=False)
class PlannedModel:
    """The known properties of the model of a stage before the stage runs."""

    tokenizer: TokenizerSource
    maximum_tokens: int  #: longer inputs are truncated
    architecture: Architecture | None  #: up to the rows of the word embedding; None: not known


@frozen(kw_only=True, eq=False)
class Planning:
    """The environment of stages when a recipe is planned."""

    task: Task
    codec: Codec
    #: returns the model of the recipe's encoder; raises UserError if it does not support the task
    encoder: Callable[[], PlannedModel]


@frozen(kw_only=True)
class Composition:
    """The parts that an artifact depends on besides those in the options of its stage and in its inputs."""

    #: of the model that the stage writes; None: it writes none, or that of an input with an unknown specification
    spec: QuantSpec | None = None
    parts: tuple[Options, ...] = ()  #: further parts that the stage builds itself, such as the losses it trains with


#: quantization of the models of the input stages, by field name; None if a stage writes none or it is not
#: known
QuantSpecs = Mapping[str, tuple[QuantSpec | None, ...]]

#: known properties of the models of the input stages, by field name; None if a stage writes none or nothing is
#: known
PlannedModels = Mapping[str, tuple[PlannedModel | None, ...]]


@frozen(kw_only=True)
class StageOptions(Options):
    """The options of a stage. Fields made by `stage_input` name its inputs.

    An artifact is a folder. Its `metrics.json`, a flat mapping of names to numbers, is tracked and reported.

    A stage that trains has an option of type `TrainOptions`, by convention called `train`: the recipe's `train` gives
    the defaults of every option of that type.
    """

    role: ClassVar[str] = "stage"
    #: True: it has no randomness, so recipes with other seeds share its result for the same inputs
    deterministic: ClassVar[bool] = False
    #: True: its metrics include those of the task on every evaluated split, such as `validation/score`
    scores_splits: ClassVar[bool] = False
    #: names of all other metrics that trials may be compared by; a study refuses an objective of another name before
    #: anything is trained. None: not known
    metric_names: ClassVar[tuple[str, ...] | None] = None
    seed: int | None = None  #: instead of the recipe's seed, to share this stage among seeds

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """This stage as it will run; called when the recipe is planned, before anything runs.

        A stage overrides it to check what depends on the data or on its inputs (the prepared input stages by
        field name), to fill in a value that its inputs determine, and to remove an input that it will not read.
        The returned stage determines the key in the store.

        Raises:
            UserError: the stage cannot run like this.
        """
        return self

    def result_names(self) -> tuple[str, ...] | None:
        """The names in `metric_names` that this stage, as it is prepared, will write.

        All of them by default; a stage overrides it where they depend on its options and inputs.
        """
        return self.metric_names

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition | None:
        """The parts that the artifact depends on besides those in the options of this stage and in its inputs.

        Called on the prepared stage when the recipe is planned. The revision of each of these parts enters the key in
        the store, so that a result is built again when one of them changes; parts in the options of the stage, however
        deeply nested, and those of its inputs need not be repeated.

        None, the default: not known. The key then contains the revision of every registered part, since the stage could
        load any of them: a change of any part makes the stage run again.
        """
        return None

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The known properties of the model that this stage will write; None: nothing is known, or it writes none.

        Called after `prepare`, with the models of its inputs by field name. A stage overrides it to pass on the
        tokenizer of its input, and to refuse models that cannot work together; properties that are unknown when a
        recipe is planned are checked when the stage runs.

        Raises:
            UserError: the models do not suit each other or the task.
        """
        return None

    @abstractmethod
    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the artifact to `context.folder`."""


@frozen(kw_only=True)
class StageGroupOptions(Options):
    """The options of several stages at once, such as the members of an ensemble.

    A group whose stages train has an option of type `TrainOptions` and passes it on to them; a recipe with a `train`
    that would not reach them is refused.
    """

    role: ClassVar[str] = "stage"

    @abstractmethod
    def expand(self, name: str) -> Mapping[str, StageOptions]:
        """The stages by name, `name` + "." + a suffix, in order; they may be inputs of each other."""
