from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.ensemble import Round, Sampling
from bebertlab.interfaces.loss import LossOptions
from bebertlab.stages.labels import LabelsOptions
from bebertlab.train.objective import Objective

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


def test_it_is_the_mean_over_the_examples() -> None:
    assert Objective([LABELS], 2)(STUDENT, None, batch_of()).item() == pytest.approx(CROSS_ENTROPIES.mean().item())


def test_losses_add_up(imitate: MakeLoss) -> None:
    squares = torch.tensor([1.0, 2.0])
    both = Objective([LABELS, imitate()], 2)(STUDENT, TEACHER, batch_of())
    assert both.item() == pytest.approx((CROSS_ENTROPIES + squares).mean().item())
    whole = Objective([LABELS, imitate(whole=True)], 2)(STUDENT, TEACHER, batch_of())
    assert whole.item() == pytest.approx(both.item())


def test_examples_weigh_as_told() -> None:
    weighted = Objective([LABELS], 2)(STUDENT, None, batch_of(torch.tensor([1.5, 0.5])))
    assert weighted.item() == pytest.approx((0.693147 * 1.5 + 2.126928 * 0.5) / 2)


def test_it_says_what_it_reads(imitate: MakeLoss) -> None:
    alone = Objective([LABELS], 2)
    assert (alone.needs_teacher, alone.student_taps, alone.teacher_taps) == (False, frozenset(), frozenset())
    taps = [frozenset({Tap.HIDDEN}), frozenset({Tap.SCORES})]
    both = Objective([LABELS, *(imitate(taps=one) for one in taps)], 2)
    assert both.needs_teacher
    assert both.student_taps == both.teacher_taps == {Tap.HIDDEN, Tap.SCORES}


@pytest.mark.parametrize("sampling", list(Sampling))
def test_only_reweighting_wants_losses_per_example(sampling: Sampling, imitate: MakeLoss) -> None:
    assignment = Round(sampling=sampling, weights=np.full(4, 0.25))
    whole = Objective([LABELS, imitate(whole=True)], 2)
    whole.check_round(None)
    Objective([LABELS, imitate()], 2).check_round(assignment)
    if sampling is Sampling.REWEIGHT:
        with pytest.raises(UserError, match="loss 'imitate' has one value for the whole batch"):
            whole.check_round(assignment)
    else:
        whole.check_round(assignment)
