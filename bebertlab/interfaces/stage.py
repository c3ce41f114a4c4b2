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

T = TypeVar("T")

_INPUT = "bebertlab.input"
_PLACE = "bebertlab.place"
_NAME = "bebertlab.name"

#: metadata of an option that is a path: `field(metadata=EXCLUDED_FROM_KEY)`. It is not part of the key, so that moving
#: a file changes nothing: a stage needs another option that identifies the content; tasks and encoders have digests.
EXCLUDED_FROM_KEY: Mapping[str, bool] = MappingProxyType({_PLACE: True})
#: metadata of an option that is either such a path or a name: a path if it is an existing folder or begins with `./`,
#: `../`, `~` or `/`
EXCLUDED_FROM_KEY_IF_PATH: Mapping[str, bool] = MappingProxyType({_PLACE: True, _NAME: True})


def stage_input(*, optional: bool = False, many: bool = False) -> Any:  # noqa: ANN401 - typed by its annotation
    """A field of a stage that names another stage of the recipe or, with `many`, a group of stages.

    A `many` field with the annotation `str | tuple[str, ...]` also takes a list of stages and groups.
    """
    metadata = {_INPUT: many}
    return field(default=None, metadata=metadata) if optional else field(metadata=metadata)


def excluded_fields(cls: type[Options]) -> tuple[str, ...]:
    """Fields of an options class whose metadata is `EXCLUDED_FROM_KEY` or `EXCLUDED_FROM_KEY_IF_PATH`."""
    return tuple(a.name for a in fields(cls) if _PLACE in a.metadata)


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
        """The artifact of an input that names a single stage; None where it is not set."""
        artifacts = self.many(name)
        return artifacts[0] if artifacts else None

    def many(self, name: str) -> tuple[Artifact, ...]:
        """The artifacts of an input; empty where it is not set."""
        return self.artifacts.get(name, ())


class Codec(ABC):
    """Options to plain data and back, whatever plugin they come from."""

    @abstractmethod
    def dump(self, value: object) -> Any:  # noqa: ANN401 - plain data: mappings, lists, strings, numbers
        """Plain data of an attrs value, `kind` included for options."""

    @abstractmethod
    def load(self, data: object, cls: type[T]) -> T:
        """The attrs value of plain data.

        Raises:
            UserError: all errors in the data, one per line.
        """


class ProgressReporter(Protocol):
    """Reports to observers how far a running stage is, and what it measured."""

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
        the values are points of. A report without values may be dropped where the last one is less than half a second
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
    """What a stage may use besides its inputs."""

    stage: str  #: name of the stage in the recipe
    folder: Path  #: empty folder to write the artifact into
    seed: int
    task: Task
    encoder: EncoderOptions
    codec: Codec
    device: str = "cpu"
    cache: Path | None = None  #: folder for what is quicker to read than to make again; may be emptied at any time
    progress: ProgressReporter  #: reports how far the stage is, e.g. `context.progress(0.5, "epoch 2/3")`
    #: called with a sentence that users must know of the result; it is kept with the artifact, so that a cached stage
    #: warns too, and names no stage: other recipes that share it may call theirs otherwise
    warn: Callable[[str], None]


@frozen(kw_only=True, eq=False)
class TokenizerSource:
    """Where the tokenizer of a planned model comes from, and on request what determines its tokens."""

    name: str  #: for messages, e.g. "the tokenizer of /models/teacher"
    key: str  #: two sources with the same key are the same tokenizer
    parts: Callable[[], Mapping[str, str]]  #: digests of what determines tokens, e.g. of "vocabulary"; may be slow

    def different_parts(self, other: TokenizerSource) -> tuple[str, ...]:
        """Names of what differs between the tokenizers; empty if they make the same tokens."""
        if self.key == other.key:
            return ()
        return different_parts(self.parts(), other.parts())


def different_parts(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the parts that differ between two tokenizers, by the digests of both.

    >>> different_parts({"vocabulary": "a", "normalizer": "b"}, {"vocabulary": "a", "normalizer": "c"})
    ('normalizer',)
    """
    return tuple(name for name, digest in one.items() if other.get(name) != digest)


@frozen(kw_only=True, eq=False)
class PlannedModel:
    """What is known of the model of a stage before the stage runs."""

    tokenizer: TokenizerSource
    maximum_tokens: int  #: longer inputs are truncated
    architecture: Architecture | None  #: up to the rows of the word embedding; None: not known


@frozen(kw_only=True, eq=False)
class Planning:
    """What stages can use when a recipe is planned."""

    task: Task
    codec: Codec
    #: returns the model of the recipe's encoder; raises UserError if it does not support the task
    encoder: Callable[[], PlannedModel]


@frozen(kw_only=True)
class Composition:
    """The parts that go into an artifact besides those in the options of its stage and in its inputs."""

    #: of the model that the stage leaves; None: it leaves none, or it is that of an input which does not say its own
    spec: QuantSpec | None = None
    parts: tuple[Options, ...] = ()  #: further parts that the stage builds itself, such as the losses it trains with


#: quantization of the models that the input stages leave, by field name; None where a stage leaves none or it is not
#: known
QuantSpecs = Mapping[str, tuple[QuantSpec | None, ...]]

#: what is known of the models that the input stages leave, by field name; None where a stage leaves none or nothing is
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
    #: True: nothing in it is random, so recipes with other seeds share its result for the same inputs
    deterministic: ClassVar[bool] = False
    #: True: its metrics include those of the task on every evaluated split, such as `validation/score`
    scores_splits: ClassVar[bool] = False
    #: names of all other metrics that trials may be compared by; a study refuses an objective of another name before
    #: anything is trained. None: not known
    metric_names: ClassVar[tuple[str, ...] | None] = None
    seed: int | None = None  #: instead of the recipe's seed, to share this stage among seeds

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """This stage as it will run; asked when the recipe is planned, before anything runs.

        A stage overrides it to check what depends on the data or on its inputs (the prepared input stages by
        field name), to fill in a value that its inputs decide, and to let go of an input that it will not read.
        What it returns decides the key in the store.

        Raises:
            UserError: the stage cannot run like this.
        """
        return self

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition | None:
        """Which parts go into the artifact, besides those in the options of this stage and in its inputs.

        Asked of the prepared stage when the recipe is planned. The revision of each of these parts enters the key in
        the store, so that a result is made again when one of them changes; parts in the options of the stage, however
        deeply nested, and those of its inputs need not be repeated.

        None, the default: not known. The key then holds the revision of every registered part, since the stage could
        load any of them: a change of any part makes the stage run again.
        """
        return None

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """What is known of the model that this stage will write; None: nothing, or it writes none.

        Asked after `prepare`, with the models of its inputs by field name. A stage overrides it to pass on the
        tokenizer of its input, and to refuse models that cannot work together; what is not known when a recipe is
        planned is checked when the stage runs.

        Raises:
            UserError: the models do not fit together, or not the task.
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
