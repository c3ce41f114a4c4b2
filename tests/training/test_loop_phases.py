"""A phase: its learning rates, progress and learning curve, and consecutive phases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.batch import Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.quantizer import SIGNS, Codes, Quantizer, QuantizerOptions
from bebertlab.interfaces.task import Task
from bebertlab.model.primitives import sign, straight_through
from bebertlab.model.quantizer_errors import BrokenQuantizer
from bebertlab.testing.tiny import tiny_model
from bebertlab.training import run
from bebertlab.training.loop import fit, need_teacher, train_phases
from bebertlab.training.optimizers import Optimizer
from bebertlab.training.schedule import rate_factor
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher

SetUpTraining = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]


class Signs(Quantizer):
    alphabet = SIGNS
    scale = 1.0  #: of what `encode` gives

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(sign(x.detach()), x)

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=sign(x).to(torch.int8), step=x.new_tensor(self.scale), alphabet=self.alphabet)


class Scaled(Signs):
    scale = 2.0


@frozen(kw_only=True)
class SignsOptions(QuantizerOptions):
    kind = "signs"
    broken: bool = False

    def build(self, shape: torch.Size) -> Quantizer:
        return Scaled() if self.broken else Signs()


@frozen(kw_only=True)
class Report:
    """A call of the progress reporter."""

    fraction: float
    text: str
    values: Mapping[str, float]
    step: int | None
    epoch: float | None


class Reports(list[Report]):
    """A progress reporter that records its calls."""

    def __call__(
        self,
        fraction: float,
        text: str,
        values: Mapping[str, float] = {},
        *,
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        self.append(Report(fraction=fraction, text=text, values=dict(values), step=step, epoch=epoch))


@pytest.fixture
def two_stage(imitate: MakeLoss) -> tuple[Phase, ...]:
    inner = Phase(name="inner", losses=(imitate(logits=False, taps=frozenset({Tap.HIDDEN})),), learning_rate_factor=2.5)
    return (inner, Phase(name="prediction", losses=(imitate(),), epochs=1))


def test_phases_follow_each_other(task: Task, set_up_training: SetUpTraining, two_stage: tuple[Phase, ...]) -> None:
    teacher = Teacher(tiny_model(task, seed=7))
    whole, parts = tiny_model(task), tiny_model(task)
    training = train_phases(whole, two_stage, set_up_training(teacher=teacher))
    for phase in two_stage:
        fit(parts, phase, set_up_training(teacher=teacher))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert training.steps == 12 + 6
    assert training.teacher_seconds is not None
    assert 0 < training.teacher_seconds < training.seconds


def test_without_a_teacher_there_are_no_teacher_seconds(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    assert train_phases(tiny_model(task), [labels_phase], set_up_training()).teacher_seconds is None


def test_quantizers_get_the_progress_of_the_whole_training(
    task: Task, set_up_training: SetUpTraining, two_stage: tuple[Phase, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fractions: list[float] = []
    monkeypatch.setattr(Signs, "progress", lambda _, fraction: fractions.append(fraction), raising=False)
    spec = QuantSpec(weights={Site.POOLER: SignsOptions()})
    train_phases(tiny_model(task, spec), two_stage, set_up_training(teacher=Teacher(tiny_model(task))))
    assert fractions == [*(step / 24 for step in range(12)), *(0.5 + step / 12 for step in range(6))]


@pytest.mark.parametrize("where", ["weights", "inputs"])
def test_a_quantizer_that_breaks_its_contract_fails_before_training(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, where: str
) -> None:
    spec = QuantSpec(**{where: {Site.POOLER: SignsOptions(broken=True)}})  # type: ignore[arg-type] # of that name
    model = tiny_model(task, spec)
    before = model.checkpoint().tensors
    with pytest.raises(BrokenQuantizer, match=rf"^quantizer 'signs' \({where}\.pooler, .*forward\(x\) bit for bit"):
        train_phases(model, [labels_phase], set_up_training())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_need_of_a_teacher_is_known_before_training(two_stage: tuple[Phase, ...], labels_phase: Phase) -> None:
    assert need_teacher(two_stage, 2)
    assert not need_teacher([labels_phase], 2)


@pytest.fixture
def factors(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Receives the factor of the learning rate of every step; no step changes the model."""
    factors: list[float] = []
    monkeypatch.setattr(Optimizer, "step", lambda self, factor: factors.append(factor))
    return factors


def test_the_learning_rate_falls_to_zero_at_the_end_of_the_phase(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, factors: list[float]
) -> None:
    training = fit(tiny_model(task), labels_phase, set_up_training(train_warmup=0.25))
    assert factors == [rate_factor("linear", step, 12, 0.25) for step in range(12)]
    rates = [point.learning_rate for point in training.curve.phases[0].training]
    assert rates == [3e-3 * factor for factor in factors]


def test_the_published_schedule_ends_before_the_phase(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, factors: list[float]
) -> None:
    setup = set_up_training(train_warmup=0.01, train_batch_size=20, train_published_schedule=True)
    fit(tiny_model(task), labels_phase, setup)
    assert len(factors) == 10  # 96 examples, two epochs
    assert factors[0] == 0.0
    assert [factor == 0.0 for factor in factors[1:]] == [False] * 7 + [True] * 2


def test_progress_is_reported_with_values_where_the_losses_are_read(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(run, "CHECKS", 3)
    reports = Reports()
    training = fit(tiny_model(task), labels_phase, set_up_training(progress=reports))
    losses = {point.step: point.loss for point in training.curve.phases[0].training}
    steps = [report for report in reports if "select/score" not in report.values]
    assert [report.step for report in steps] == [*range(1, 13)]
    assert [report.fraction for report in steps] == [step / 12 for step in range(1, 13)]
    # at the three checks, and before the evaluations after steps 6 and 12
    values = {report.step: report.values["train/loss"] for report in steps if report.values}
    assert values == {step: losses[step] for step in (4, 6, 8, 12)}
    assert steps[0].text == "labels: epoch 1/2"
    assert (steps[8].text, steps[8].epoch) == ("labels: epoch 2/2", 1.5)
    evaluations = [report for report in reports if "select/score" in report.values]
    assert [(report.step, report.epoch) for report in evaluations] == [(6, 1.0), (12, 2.0)]


def test_fast_training_reports_evaluations_and_its_end_only(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PROGRESS_SECONDS", 1e9)
    reports = Reports()
    fit(tiny_model(task), labels_phase, set_up_training(progress=reports))
    assert [(report.step, "train/loss" in report.values) for report in reports] == [(6, False), (12, True), (12, False)]


def test_progress_and_curve_cover_all_phases(
    task: Task, set_up_training: SetUpTraining, two_stage: tuple[Phase, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PROGRESS_SECONDS", 0.0)
    reports = Reports()
    setup = set_up_training(teacher=Teacher(tiny_model(task)), progress=reports)
    curve = train_phases(tiny_model(task), two_stage, setup).curve
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert (0.5, "inner: epoch 2/2") in [(report.fraction, report.text) for report in reports]
    assert reports[-1].text == "prediction: epoch 1/1"
    assert (reports[-1].fraction, reports[-1].step, reports[-1].epoch) == (1.0, 18, 3.0)
    assert [phase.name for phase in curve.phases] == ["inner", "prediction"]
    assert [point.step for phase in curve.phases for point in phase.training] == [*range(1, 19)]
    assert (curve.steps, curve.epochs) == (18, 3.0)
    # hidden states only: the loss on select selects; a single evaluation: no choice
    assert [(phase.measure, len(phase.evaluations)) for phase in curve.phases] == [("loss", 2), ("score", 0)]
    assert [report.step for report in reports if "select/loss" in report.values] == [6, 12]


def test_the_curve_contains_the_losses_of_every_step_and_their_terms(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss
) -> None:
    hidden = frozenset({Tap.HIDDEN})
    losses = (imitate(taps=hidden), imitate(taps=hidden, whole=True))
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=7)))
    (phase,) = fit(tiny_model(task), Phase(name="p", losses=losses), setup).curve.phases
    assert (phase.name, phase.steps, phase.epochs) == ("p", 12, 2.0)
    assert [point.epoch for point in phase.training] == [step / 6 for step in range(1, 13)]
    for point in phase.training:
        # logits and three hidden states of the first loss, and of the second
        assert [*point.terms] == ["0", "1", "2", "3", "0_2", "1_2", "2_2", "3_2"]
        assert point.terms["3"] == pytest.approx(point.terms["3_2"])
        assert sum(point.terms.values()) == pytest.approx(point.loss)
    assert phase.training[-1].loss < phase.training[0].loss


def test_terms_of_weighted_examples_and_of_sub_networks_add_up(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss
) -> None:
    teacher = Teacher(tiny_model(task, seed=7))
    losses = (imitate(taps=frozenset({Tap.HIDDEN})),)
    weights = np.arange(1.0, 97.0)
    assignment = SampleWeights(sampling=Sampling.REWEIGHT, weights=weights / weights.sum())
    parts = Phase(name="parts", losses=losses, widths=(1.0, 0.5))
    for phase, setup in (
        (Phase(name="weighted", losses=losses), set_up_training(teacher=teacher, round=assignment)),
        (parts, set_up_training(teacher=teacher)),
    ):
        (curve,) = fit(tiny_model(task), phase, setup).curve.phases
        assert all(sum(point.terms.values()) == pytest.approx(point.loss) for point in curve.training)


def test_the_curve_contains_the_evaluations_and_marks_the_kept_state(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([50.0, 70.0, 60.0, math.nan])

    def evaluate(self: Task, split: str, rows: NDArray[np.floating]) -> dict[str, float]:
        return {"score": next(scores)}

    monkeypatch.setattr(Task, "evaluate", evaluate)
    (phase,) = fit(tiny_model(task), labels_phase, set_up_training(train_evaluations=2)).curve.phases
    assert [point.step for point in phase.evaluations] == [3, 6, 9, 12]
    assert [point.epoch for point in phase.evaluations] == [0.5, 1.0, 1.5, 2.0]
    assert [point.value for point in phase.evaluations] == pytest.approx([50.0, 70.0, 60.0, math.nan], nan_ok=True)
    assert [point.kept for point in phase.evaluations] == [False, True, False, False]


def test_recording_reads_the_losses_at_checks_only(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = Tensor.tolist

    def counted(tensor: Tensor) -> object:
        if tensor.is_floating_point():
            reads.append(len(tensor))
        return read(tensor)

    monkeypatch.setattr(Tensor, "tolist", counted)
    monkeypatch.setattr(Tensor, "item", lambda _: pytest.fail("waits for the device"))
    monkeypatch.setattr(Tensor, "__float__", lambda _: pytest.fail("waits for the device"))
    monkeypatch.setattr(run, "CHECKS", 4)
    monkeypatch.setattr(run, "PROGRESS_SECONDS", 0.0)
    fit(tiny_model(task), labels_phase, set_up_training(train_epochs=1, train_batch_size=8))
    assert reads == [2 * 3] * 4  # a total and a term of each of three steps
