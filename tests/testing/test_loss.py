"""The kits must pass correct losses and distillations, and report the errors of broken ones."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from attrs import field, frozen
from torch import Tensor

from bebertlab.api import Batch, DistillationOptions, Loss, LossOptions, Outputs, Phase, Tap, UserError
from bebertlab.testing import ContractError, check_distillation, check_loss

NO_TAPS: frozenset[Tap] = frozenset()


class Distance(Loss):
    """A correct loss."""

    needs_teacher = True
    student_taps = frozenset({Tap.HIDDEN})
    teacher_taps = frozenset({Tap.HIDDEN})
    per_example = True

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        assert teacher is not None
        last, target = student.taps[Tap.HIDDEN][-1], teacher.taps[Tap.HIDDEN][-1].detach()
        return {"distance": (last - target).square().mean((1, 2))}


@frozen(kw_only=True)
class FixedOptions(LossOptions):
    kind: ClassVar[str] = "made"
    make: Any = field(default=Distance)

    def build(self, classes: int) -> Loss:
        loss: Loss = self.make()
        return loss


@frozen(kw_only=True)
class NoRegression(LossOptions):
    kind: ClassVar[str] = "made"
    least: int = 2

    def build(self, classes: int) -> Loss:
        if classes < self.least:
            raise UserError(f"not for {classes}")
        return Distance()


class NoTerm(Distance):
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {}


class ScalarTerm(Distance):
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {name: term.mean() for name, term in super().__call__(student, teacher, batch).items()}


class TermPerExample(Distance):
    per_example = False


class RelativeToTheBatch(Distance):
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {name: term / term.detach().mean() for name, term in super().__call__(student, teacher, batch).items()}


class UndeclaredTap(Distance):
    student_taps = NO_TAPS


class TrainsTheTeacher(Distance):
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        assert teacher is not None
        difference = student.taps[Tap.HIDDEN][-1] - teacher.taps[Tap.HIDDEN][-1]
        return {"distance": difference.square().mean((1, 2))}


class NoGradient(Distance):
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {name: term.detach() for name, term in super().__call__(student, teacher, batch).items()}


class AlwaysZero(Distance):
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {name: 0.0 * term for name, term in super().__call__(student, teacher, batch).items()}


class Nan(Distance):
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {"distance": torch.log(-super().__call__(student, teacher, batch)["distance"])}


BROKEN: dict[type[Distance], str] = {
    NoTerm: "no term",
    ScalarTerm: r"expected shape \(4,\) of term 'distance', not \(\)",
    TermPerExample: r"expected shape \(\) of term 'distance', not \(4,\)",
    RelativeToTheBatch: "depends on the others",
    UndeclaredTap: "a tap that it does not declare",
    TrainsTheTeacher: "reaches the teacher",
    NoGradient: "no gradient reaches the student",
    AlwaysZero: "0 everywhere",
    Nan: "NaN",
}


def test_a_correct_loss_passes() -> None:
    check_loss(FixedOptions())


def test_a_loss_may_refuse_a_task_but_not_all() -> None:
    check_loss(NoRegression())
    with pytest.raises(ContractError, match="refuses every task: not for 2; not for 3; not for 1"):
        check_loss(NoRegression(least=9))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_loss_is_rejected(broken: type[Distance]) -> None:
    with pytest.raises(ContractError, match=BROKEN[broken]) as caught:
        check_loss(FixedOptions(make=broken))
    assert str(caught.value).startswith("loss 'made' for 2 outputs: ")


@frozen(kw_only=True)
class Distillation(DistillationOptions):
    kind: ClassVar[str] = "mine"
    phase: Any = field(factory=lambda: Phase(name="one", losses=(FixedOptions(),)))

    def phases(self) -> tuple[Phase, ...]:
        return (self.phase, Phase(name="two", named_losses=("labels", {"kind": "hidden", "weight": 0.5})))


class NoPhase(Distillation):
    def phases(self) -> tuple[Phase, ...]:
        return ()


class Generator(Distillation):
    def phases(self) -> tuple[Phase, ...]:
        return (phase for phase in super().phases())  # type: ignore[return-value]


class Changing(Distillation):
    count: ClassVar[int] = 0

    def phases(self) -> tuple[Phase, ...]:
        type(self).count += 1
        return (Phase(name=f"phase {self.count}", losses=(FixedOptions(),)),)


PHASES: dict[str, tuple[Phase, str]] = {
    "same name": (Phase(name="two", losses=(FixedOptions(),)), "two phases have the same name"),
    "no name": (Phase(name=" ", losses=(FixedOptions(),)), "a phase has no name"),
    "no loss": (Phase(name="one"), "phase 'one' has no loss"),
    "a class": (Phase(name="one", losses=(FixedOptions,)), "are not instances of LossOptions"),  # type: ignore[arg-type]
    "an unknown loss": (Phase(name="one", named_losses=("hiden",)), "unknown loss 'hiden'"),
    "an unknown option": (Phase(name="one", named_losses=({"kind": "hidden", "wight": 1.0},)), "wight"),
    "nan": (
        Phase(name="one", losses=(FixedOptions(make=Nan),)),
        "phase 'one' for 2 outputs: the loss is NaN or infinite",
    ),
    "no gradient": (Phase(name="one", losses=(FixedOptions(make=NoGradient),)), "no gradient reaches the student"),
    "zero": (Phase(name="one", losses=(FixedOptions(make=AlwaysZero),)), "the gradient of the student is 0 everywhere"),
    "every task refused": (Phase(name="one", losses=(NoRegression(least=9),)), "refuses every task: not for 2"),
    "too small": (Phase(name="one", losses=(FixedOptions(),), depths=(1.0, 0.01)), "depth"),
}


def test_a_correct_distillation_passes() -> None:
    check_distillation(Distillation())
    check_distillation(
        Distillation(phase=Phase(name="one", losses=(FixedOptions(),), widths=(1.0, 0.5), depths=(1.0, 0.5)))
    )
    check_distillation(Distillation(phase=Phase(name="one", losses=(NoRegression(),))))


@pytest.mark.parametrize("broken", PHASES)
def test_a_broken_phase_is_rejected(broken: str) -> None:
    phase, what = PHASES[broken]
    with pytest.raises(ContractError, match=f"^distillation 'mine': .*{what}"):
        check_distillation(Distillation(phase=phase))


@pytest.mark.parametrize(
    ("broken", "what"), [(NoPhase, "it has no phase"), (Generator, "not a tuple of Phase"), (Changing, "other phases")]
)
def test_broken_phases_are_rejected(broken: type[Distillation], what: str) -> None:
    with pytest.raises(ContractError, match=f"^distillation 'mine': .*{what}"):
        check_distillation(broken())
