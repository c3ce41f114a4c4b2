from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.objective import PhaseLoss, rehearse
from bebertlab_bibert.losses import Direction
from bebertlab_binarybert.losses import AttentionDistanceOptions, HiddenDistanceOptions

MakeLoss = Callable[..., LossOptions]
LABELS = LabelsOptions()


def batch_of(weights: Tensor | None = None) -> Batch:
    blank = torch.zeros(2, 1, dtype=torch.int64)
    return Batch(
        positions=torch.arange(2),
        tokens=blank,
        segments=blank,
        mask=blank == 0,
        labels=torch.tensor([0, 1]),
        weights=weights,
    )


def outputs(*logits: tuple[float, float]) -> Outputs:
    return Outputs(logits=torch.tensor(logits), taps={})


STUDENT = outputs((0.0, 0.0), (2.0, 0.0))
TEACHER = outputs((1.0, 1.0), (2.0, 2.0))
CROSS_ENTROPIES = torch.tensor([0.693147, 2.126928])


def test_the_objective_is_the_mean_over_the_examples() -> None:
    assert PhaseLoss([LABELS], 2)(STUDENT, None, batch_of()).item() == pytest.approx(CROSS_ENTROPIES.mean().item())


def test_losses_add_up(imitate: MakeLoss) -> None:
    squares = torch.tensor([1.0, 2.0])
    both = PhaseLoss([LABELS, imitate()], 2)(STUDENT, TEACHER, batch_of())
    assert both.item() == pytest.approx((CROSS_ENTROPIES + squares).mean().item())
    whole = PhaseLoss([LABELS, imitate(whole=True)], 2)(STUDENT, TEACHER, batch_of())
    assert whole.item() == pytest.approx(both.item())


def test_losses_are_weighted_by_example() -> None:
    weighted = PhaseLoss([LABELS], 2)(STUDENT, None, batch_of(torch.tensor([1.5, 0.5])))
    assert weighted.item() == pytest.approx((0.693147 * 1.5 + 2.126928 * 0.5) / 2)


def test_the_objective_declares_what_it_reads(imitate: MakeLoss) -> None:
    labels = PhaseLoss([LABELS], 2)
    assert (labels.needs_teacher, labels.student_taps, labels.teacher_taps) == (False, frozenset(), frozenset())
    taps = [frozenset({Tap.HIDDEN}), frozenset({Tap.SCORES})]
    both = PhaseLoss([LABELS, *(imitate(taps=tap) for tap in taps)], 2)
    assert both.needs_teacher
    assert both.student_taps == both.teacher_taps == {Tap.HIDDEN, Tap.SCORES}


@pytest.mark.parametrize("sampling", list(Sampling))
def test_only_reweighting_needs_losses_per_example(sampling: Sampling, imitate: MakeLoss) -> None:
    assignment = SampleWeights(sampling=sampling, weights=np.full(4, 0.25))
    whole = PhaseLoss([LABELS, imitate(whole=True)], 2)
    whole.check_sample_weights(None)
    PhaseLoss([LABELS, imitate()], 2).check_sample_weights(assignment)
    if sampling is Sampling.REWEIGHT:
        with pytest.raises(UserError, match="loss 'imitate' has one value for the whole batch"):
            whole.check_sample_weights(assignment)
    else:
        whole.check_sample_weights(assignment)


SIZES = evolve(tiny_model(tiny_task()).architecture, layers=4)


def phase(*losses: LossOptions, **more: Any) -> tuple[Phase, ...]:  # noqa: ANN401 - fields of a phase
    return (Phase(name="first", losses=losses), Phase(name="second", losses=losses, **more))


@pytest.mark.parametrize(
    ("loss", "teacher", "message"),
    [
        (
            HiddenDistanceOptions(),
            {"hidden": 8},
            r"loss 'hidden': the student's hidden are \(1, 2, 16\), the teacher's \(1, 2, 8\)",
        ),
        (AttentionDistanceOptions(), {"heads": 4}, "take a teacher of the same number of heads"),
        (Direction(), {"heads": 4}, "loss 'direction': .*same number of heads"),
        (HiddenDistanceOptions(), {"layers": 6}, "6 layers are not a multiple of the student's 4; `layers: last` and"),
        (AttentionDistanceOptions(layers="last"), {"layers": 3}, "the teacher has 3 layers, the student 4"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(loss: LossOptions, teacher: dict[str, Any], message: str) -> None:
    rehearse(phase(loss), SIZES, SIZES, 2)
    with pytest.raises(UserError, match=message):
        rehearse(phase(loss), SIZES, evolve(SIZES, **teacher), 2)


def test_models_that_a_loss_allows_are_accepted() -> None:
    deep = evolve(SIZES, layers=6, head_size=4, ffn=99, vocabulary=7)
    rehearse(phase(HiddenDistanceOptions(layers="last"), AttentionDistanceOptions(layers="dynabert")), SIZES, deep, 1)
    rehearse(phase(Direction()), SIZES, evolve(SIZES, layers=8), 3)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"layers": 8}, "a sub-network of 2 of 4 layers needs a teacher of 4 layers; this one has 8"),
        ({"hidden": 8}, "same width"),
    ],
)
def test_sub_networks_are_compared_separately(teacher: dict[str, Any], message: str) -> None:
    phases = phase(HiddenDistanceOptions(), widths=(1.0, 0.5), depths=(1.0, 0.5))
    rehearse(phases, SIZES, SIZES, 2)
    with pytest.raises(UserError, match=message):
        rehearse(phases, SIZES, evolve(SIZES, **teacher), 2)
    with pytest.raises(UserError, match=r"width 0\.1 keeps none of 2 heads"):
        rehearse(phase(HiddenDistanceOptions(), widths=(0.1,)), SIZES, SIZES, 2)


@frozen(kw_only=True)
class Picky(LossOptions):
    """Fails on zeros; reads the given taps."""

    kind = "picky"
    taps: frozenset[Tap] = frozenset({Tap.HIDDEN})

    def build(self, classes: int) -> Loss:
        return _Picky(self.taps)


class _Picky(Loss):
    needs_teacher = True
    per_example = True

    def __init__(self, taps: frozenset[Tap]) -> None:
        self.student_taps = self.teacher_taps = taps

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Mapping[str, Tensor]:
        raise ZeroDivisionError


def test_a_loss_that_fails_on_zeros_is_checked_by_the_training_only() -> None:
    rehearse(phase(Picky()), SIZES, SIZES, 2)


def test_logit_losses_are_not_evaluated_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    failing: Callable[..., object] = lambda *_: pytest.fail("computed")  # noqa: E731 - a name for the type
    monkeypatch.setattr(_Picky, "__call__", failing)
    other: Architecture = evolve(SIZES, hidden=8, layers=3, heads=1)
    rehearse(phase(Picky(taps=frozenset())), SIZES, other, 2)
