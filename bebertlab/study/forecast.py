"""What is left of a study: trials and stages, and their time by that of similar stages in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from statistics import mean

from attrs import field, frozen

from bebertlab.interfaces.events import TrialState
from bebertlab.interfaces.metric_names import TRAIN_SECONDS, TRAIN_STEPS
from bebertlab.pipeline.plan import Node
from bebertlab.store.fingerprint import fingerprint
from bebertlab.store.manifest import Manifest
from bebertlab.store.why import INPUTS, KeyParts
from bebertlab.study.context import StudyContext
from bebertlab.study.space import planned_trials


@frozen(kw_only=True)
class Work:
    """The stages of one kind."""

    stored: int
    missing: int
    unknown: int  #: missing stages without a similar stage in the store
    seconds: float  #: of the other missing ones together


@frozen(kw_only=True)
class Forecast:
    """What is left of a study."""

    trials: int  #: known ones
    complete: int
    undrawn: int = 0  #: trials that a sampler draws when the others have finished
    kinds: Mapping[str, Work] = field(factory=dict)  #: by kind of stage, in the order of the recipe

    @property
    def missing(self) -> int:
        """Stages to run."""
        return sum(work.missing for work in self.kinds.values())

    @property
    def unknown(self) -> int:
        """Stages to run whose time is not known."""
        return sum(work.unknown for work in self.kinds.values())

    @property
    def seconds(self) -> float:
        """Of the other stages to run together."""
        return sum(work.seconds for work in self.kinds.values())


def forecast(context: StudyContext) -> Forecast:
    """Plan every known trial and look up its stages in the store; changes nothing.

    Raises:
        UserError: a trial cannot run.
    """
    records = context.records()
    if context.study.is_listed:
        context.check_plans(records)
    else:
        context.check_drawn(records)
    nodes, missing = context.stages(records)
    complete = sum(record.state is TrialState.COMPLETE for record in records)
    times = Times.of(context.store.manifests(), {key: node.parts for key, node in nodes.items()})
    kinds = {
        kind: _work([node for node in nodes.values() if node.kind == kind], missing, times)
        for kind in dict.fromkeys(node.kind for node in nodes.values())
    }
    undrawn = planned_trials(context.study) - len(records)
    return Forecast(trials=len(records), complete=complete, undrawn=undrawn, kinds=kinds)


def _work(nodes: list[Node], missing: Set[str], times: Times) -> Work:
    guesses = [times.guess(node.key) for node in nodes if node.key in missing]
    known = [guess for guess in guesses if guess is not None]
    return Work(
        stored=len(nodes) - len(guesses),
        missing=len(guesses),
        unknown=len(guesses) - len(known),
        seconds=sum(known),
    )


_TRAIN = "train"  # the field of stages that train
_EPOCHS = "epochs"

#: options of a training that change its result, not its time
_FREE = (
    "learning_rate",
    "quantizer_learning_rate",
    "quantizer_weight_decay",
    "published_schedule",
    "schedule",
    "warmup",
    "weight_decay",
)


@frozen(kw_only=True)
class _Likeness:
    """What decides how long a stage runs; equal for similar stages."""

    digest: str  #: of everything but the epochs
    epochs: int | None  #: passes over the data, where the time is proportional to them


@frozen(kw_only=True)
class _Took:
    """The time of a stage."""

    seconds: float
    training: float  #: the part of it that grows with the epochs

    def scaled(self, factor: float) -> float:
        """Seconds with `factor` times the epochs."""
        return self.seconds + self.training * (factor - 1)


@frozen(eq=False)
class Times:
    """The times of the stages of a store.

    Stages are similar that have the same options, scheme, encoder, data and machine, and read models of the same
    shape. Seeds may differ, options that do not change the cost of a step (such as learning rates), and how the models
    that they read were trained. Where no similar stage has the same number of epochs, its training time is scaled.
    """

    _parts: Mapping[str, KeyParts]  #: by key
    _took: dict[_Likeness, list[_Took]] = field(factory=dict)
    _shapes: dict[str, str] = field(factory=dict)  #: by key

    @classmethod
    def of(cls, manifests: Iterable[Manifest], planned: Mapping[str, KeyParts]) -> Times:
        """The times of stored stages; `planned` gives the parts of the stages to estimate, by key."""
        stored = list(manifests)
        times = cls({**planned, **{manifest.key: manifest.parts for manifest in stored}})
        for manifest in stored:
            if manifest.metrics.get(TRAIN_STEPS) == 0:
                continue  # a member that was not trained since its ensemble had ended
            training = manifest.metrics.get(TRAIN_SECONDS, manifest.seconds)
            took = _Took(seconds=manifest.seconds, training=training)
            times._took.setdefault(times._likeness(manifest.parts), []).append(took)
        return times

    def guess(self, key: str) -> float | None:
        """Seconds of a planned stage; None where no similar stage is stored."""
        like = self._likeness(self._parts[key])
        if like in self._took:
            return mean(time.seconds for time in self._took[like])
        if like.epochs is None:
            return None
        others = [
            time.scaled(like.epochs / other.epochs)
            for other, took in self._took.items()
            if other.epochs and other.digest == like.digest
            for time in took
        ]
        return mean(others) if others else None

    def _likeness(self, parts: KeyParts) -> _Likeness:
        stage = parts["stage"]
        train = stage["options"].get(_TRAIN)
        if not isinstance(train, Mapping):
            return _Likeness(digest=self._hash(parts, stage), epochs=None)
        left = {name: value for name, value in train.items() if name not in _FREE}
        epochs = left.pop(_EPOCHS, None) if _are_of_one_length(parts) else None
        stage = {**stage, "options": {**stage["options"], _TRAIN: left}}
        return _Likeness(digest=self._hash(parts, stage), epochs=epochs)

    def _shape(self, key: str) -> str:
        """What of a stage decides the time of those that read it; its key where nothing more is known."""
        if key not in self._parts:
            return key
        if key not in self._shapes:
            parts = self._parts[key]
            stage = parts["stage"]
            options = {name: value for name, value in stage["options"].items() if name != _TRAIN}
            self._shapes[key] = self._hash(parts, {**stage, "options": options})
        return self._shapes[key]

    def _hash(self, parts: KeyParts, stage: KeyParts) -> str:
        inputs = {name: [self._shape(key) for key in keys] for name, keys in parts[INPUTS].items()}
        unseeded = {name: value for name, value in parts.items() if name != "seed"}
        return fingerprint({**unseeded, "stage": stage, INPUTS: inputs})


def _are_of_one_length(parts: KeyParts) -> bool:
    """Whether every phase has the epochs of the stage, so that its time is proportional to them."""
    options = parts["made_of"]["options"]  # a distillation has a list of phases
    phases = [phase for part in options.values() if isinstance(part, list) for phase in part]
    return all(phase.get(_EPOCHS) is None for phase in phases)
