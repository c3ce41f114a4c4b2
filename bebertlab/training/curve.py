"""Learning curves: loss, learning rate and score of a training by optimizer step, as a small file of its artifact."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from attrs import asdict, evolve, field, frozen

from bebertlab.errors import UserError
from bebertlab.files import parse_json
from bebertlab.formats import LEARNING_CURVE
from bebertlab.interfaces.metric_names import TRAIN_LEARNING_RATE, TRAIN_LOSS, split_metric
from bebertlab.interfaces.task import SELECT
from bebertlab.interfaces.training_state import TrainingState
from bebertlab.training.schedule import part_ends

LEARNING_CURVE_FILE = "learning_curve.json"
POINTS = 200  #: of the training, and of the evaluations, at most, in each phase

_UNITS = {
    "step": "optimizer steps since the stage began",
    "epoch": "epochs since the stage began",
    "learning_rate": "of the weights, at the step",
    "loss": "mean over the steps since the previous point",
    "terms": "parts of the loss, by name",
    "select": "of the select split: score in the task's unit (percent for shipped tasks), or loss",
}
_DIGITS = 6  # significant ones

SelectMeasure = Literal["score", "loss"]
"""The quantity that is measured on the select split."""


def term_value(term: str) -> str:
    """The name under which a training reports a term of its loss.

    >>> term_value("attention")
    'train/loss/attention'
    """
    return f"{TRAIN_LOSS}/{term}"


def select_value(measure: SelectMeasure) -> str:
    """The name under which a training reports an evaluation.

    >>> select_value("score")
    'select/score'
    """
    return split_metric(SELECT, measure)


@frozen(kw_only=True)
class TrainingPoint:
    """The training loss up to a step."""

    step: int  #: optimizer steps since the stage began
    epoch: float  #: epochs since the stage began
    learning_rate: float  #: of the weights in this step
    loss: float  #: mean over the steps since the previous point; of the sum of all terms
    terms: Mapping[str, float] = field(factory=dict)  #: means of the terms of the losses, by name

    @property
    def values(self) -> dict[str, float]:
        """The values of the point under the names by which a running training reports them."""
        terms = {term_value(name): value for name, value in self.terms.items()} if len(self.terms) > 1 else {}
        return {TRAIN_LOSS: self.loss, **terms, TRAIN_LEARNING_RATE: self.learning_rate}


@frozen(kw_only=True)
class EvaluationPoint:
    """An evaluation on the select split."""

    step: int  #: optimizer steps since the stage began
    epoch: float  #: epochs since the stage began
    value: float  #: score or loss, see `PhaseCurve.measure`; NaN where the outputs of the model were not finite
    kept: bool = False  #: the phase ends with the state of this evaluation, the best one


@frozen(kw_only=True)
class PhaseCurve:
    """The curve of one phase, of at most `POINTS` training points and as many evaluations.

    The last training point, the last evaluation and the kept one are always among them.
    """

    name: str  #: of the phase
    steps: int  #: optimizer steps of the phase
    epochs: float  #: of the phase
    training: tuple[TrainingPoint, ...]
    #: empty where the phase was not evaluated: it has a single evaluation, at its end, and keeps its last state
    evaluations: tuple[EvaluationPoint, ...] = ()
    measure: SelectMeasure = "score"  #: on the select split; loss if no loss of the phase reads the logits


@frozen(kw_only=True)
class LearningCurve:
    """The recorded curves of a training stage, phase by phase."""

    phases: tuple[PhaseCurve, ...] = ()

    @property
    def steps(self) -> int:
        """Optimizer steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def epochs(self) -> float:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @classmethod
    def joined(cls, curves: Iterable[LearningCurve]) -> LearningCurve:
        """One curve of trainings that follow each other; steps and epochs of the later ones are moved."""
        phases: list[PhaseCurve] = []
        for curve in curves:
            before = cls(phases=tuple(phases))
            phases += [_moved(phase, before.steps, before.epochs) for phase in curve.phases]
        return cls(phases=tuple(phases))

    def with_final_score(self, score: float) -> LearningCurve:
        """The same with the score of the trained model, where the last phase was not evaluated."""
        if not self.phases or self.phases[-1].evaluations:
            return self
        final = EvaluationPoint(step=self.steps, epoch=self.epochs, value=score, kept=True)
        last = evolve(self.phases[-1], evaluations=(final,), measure="score")
        return LearningCurve(phases=(*self.phases[:-1], last))

    def data(self) -> list[dict[str, Any]]:
        """Plain data of the phases, to the last digit; `of_data` reads it."""
        return [asdict(phase) for phase in self.phases]

    @classmethod
    def of_data(cls, phases: Iterable[Mapping[str, Any]]) -> LearningCurve:
        """The curve of plain data."""
        return cls(phases=tuple(map(_phase_of, phases)))

    def values(self) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Step, epoch and values of all points, by step, under the names by which a running training reports them."""
        for phase in self.phases:
            points: dict[int, tuple[float, dict[str, float]]] = {}
            for training in phase.training:
                points[training.step] = training.epoch, training.values
            for evaluation in phase.evaluations:
                if math.isfinite(evaluation.value):
                    _, values = points.setdefault(evaluation.step, (evaluation.epoch, {}))
                    values[select_value(phase.measure)] = evaluation.value
            yield from ((step, *points[step]) for step in sorted(points))


def _phase_of(data: Mapping[str, Any]) -> PhaseCurve:
    points = {
        "training": tuple(TrainingPoint(**point) for point in data["training"]),
        "evaluations": tuple(EvaluationPoint(**point) for point in data["evaluations"]),
    }
    return PhaseCurve(**{**data, **points})


def _moved(phase: PhaseCurve, steps: int, epochs: float) -> PhaseCurve:
    return evolve(
        phase,
        training=tuple(evolve(point, step=steps + point.step, epoch=epochs + point.epoch) for point in phase.training),
        evaluations=tuple(
            evolve(point, step=steps + point.step, epoch=epochs + point.epoch) for point in phase.evaluations
        ),
    )


class CurveRecorder:
    """Collects the curve of a phase of known length, one step after another.

    A training point is the mean over the steps since the previous point. All evaluations are kept until `curve` thins
    them, since the best one is known only at the end.
    """

    def __init__(self, name: str, *, steps: int, epoch_steps: int) -> None:
        self._name = name
        self._steps = steps
        self._epoch_steps = epoch_steps
        self._ends = part_ends(steps, min(steps, POINTS))
        self._step = 0
        self._losses: list[float] = []  # since the last point
        self._terms: dict[str, float] = {}  # sums since the last point
        self._training: list[TrainingPoint] = []
        self._evaluations: list[EvaluationPoint] = []
        self._measure: SelectMeasure = "score"

    @property
    def last(self) -> TrainingPoint | None:
        """The last training point so far."""
        return self._training[-1] if self._training else None

    def add_step(self, loss: float, terms: Iterable[tuple[str, float]], learning_rate: float) -> None:
        """Add the next step; terms of the same name are added up."""
        self._step += 1
        self._losses.append(loss)
        for name, value in terms:
            self._terms[name] = self._terms.get(name, 0.0) + value
        if self._step in self._ends:
            count = len(self._losses)
            point = TrainingPoint(
                step=self._step,
                epoch=self._step / self._epoch_steps,
                learning_rate=learning_rate,
                loss=sum(self._losses) / count,
                terms={name: total / count for name, total in self._terms.items()},
            )
            self._training.append(point)
            self._losses, self._terms = [], {}

    def add_evaluation(self, step: int, value: float, measure: SelectMeasure, *, best: bool) -> None:
        """Add an evaluation after a step; `best`: its state replaces the one that was kept before."""
        self._measure = measure
        if best:
            self._evaluations = [evolve(point, kept=False) for point in self._evaluations]
        epoch = step / self._epoch_steps
        self._evaluations.append(EvaluationPoint(step=step, epoch=epoch, value=value, kept=best))

    def state(self) -> TrainingState:
        """All that was collected, to the last digit."""
        return TrainingState(
            data={
                "step": self._step,
                "losses": self._losses,
                "terms": self._terms,
                "training": [asdict(point) for point in self._training],
                "evaluations": [asdict(point) for point in self._evaluations],
                "measure": self._measure,
            }
        )

    def restore(self, state: TrainingState) -> None:
        """Continue from a state."""
        data = state.data
        self._step, self._measure = data["step"], data["measure"]
        self._losses, self._terms = [*data["losses"]], {**data["terms"]}
        self._training = [TrainingPoint(**point) for point in data["training"]]
        self._evaluations = [EvaluationPoint(**point) for point in data["evaluations"]]

    def curve(self) -> LearningCurve:
        """The curve of the steps so far."""
        phase = PhaseCurve(
            name=self._name,
            steps=self._step,
            epochs=self._step / self._epoch_steps,
            training=tuple(self._training),
            evaluations=_thinned(self._evaluations),
            measure=self._measure,
        )
        return LearningCurve(phases=(phase,))


def _thinned(points: Sequence[EvaluationPoint]) -> tuple[EvaluationPoint, ...]:
    if len(points) <= POINTS:
        return tuple(points)
    ends = part_ends(len(points), POINTS - 1)  # one more for the kept one
    return tuple(point for number, point in enumerate(points, 1) if number in ends or point.kept)


def write_learning_curve(curve: LearningCurve, folder: Path) -> None:
    """Write a curve into the folder of an artifact, with six significant digits; a few KiB for each phase."""
    data = {"format": LEARNING_CURVE.number, "units": _UNITS, "phases": [_phase_data(phase) for phase in curve.phases]}
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    (folder / LEARNING_CURVE_FILE).write_text(text + "\n", encoding="utf-8")


def read_learning_curve(folder: Path) -> LearningCurve | None:
    """The curve in the folder of an artifact; None where the stage recorded none.

    Raises:
        UserError: the file has another format, or is damaged.
    """
    path = folder / LEARNING_CURVE_FILE
    if not path.is_file():
        return None
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
        LEARNING_CURVE.check(data["format"], path)
        return LearningCurve(phases=tuple(map(_read_phase, data["phases"])))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise UserError(f"{path}: not a valid learning curve ({type(error).__name__}: {error})") from error


def _phase_data(phase: PhaseCurve) -> dict[str, Any]:
    names = dict.fromkeys(name for point in phase.training for name in point.terms)
    terms = {name: [_rounded(point.terms.get(name, 0.0)) for point in phase.training] for name in names}
    return {
        "name": phase.name,
        "steps": phase.steps,
        "epochs": _rounded(phase.epochs),
        "training": {
            **_columns(phase.training, ("step", "epoch", "learning_rate", "loss")),
            "terms": terms,
        },
        "select": {"measure": phase.measure, **_columns(phase.evaluations, ("step", "epoch", "value", "kept"))},
    }


def _columns(points: Sequence[Any], names: Iterable[str]) -> dict[str, list[Any]]:
    return {name: [_rounded(getattr(point, name)) for point in points] for name in names}


def _rounded(value: float) -> float | None:
    """A number with few digits; JSON has no NaN and no infinity."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _read_phase(data: Mapping[str, Any]) -> PhaseCurve:
    training, select = dict(data["training"]), dict(data["select"])
    terms, measure = training.pop("terms"), select.pop("measure")
    if measure not in ("score", "loss"):
        raise ValueError(f"measure {measure!r}; expected score or loss")
    points = _rows(training)
    return PhaseCurve(
        name=str(data["name"]),
        steps=int(data["steps"]),
        epochs=float(data["epochs"]),
        training=tuple(
            TrainingPoint(**point, terms=values)
            for point, values in zip(points, _rows(terms) or [{}] * len(points), strict=True)
        ),
        evaluations=tuple(EvaluationPoint(**point) for point in _rows(select)),
        measure=measure,
    )


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    numbers = {name: [_number(value) for value in column] for name, column in columns.items()}
    return [dict(zip(numbers, row, strict=True)) for row in zip(*numbers.values(), strict=True)]


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {value!r}")
    return value
