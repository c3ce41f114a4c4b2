"""What a teacher costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from bebertlab.bench.clock import Ratio, Timings, alternate
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.scheme import W1A8, full_precision
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import Steps, equal_setup, labels_phase, phases
from bebertlab.interfaces.distillation import Phase
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher

PREDICTION = Goal(
    name="distillation.prediction",
    what="prediction distillation / none, W1A8 split, from the second epoch or member on",
    better="lower",
    goal=1.1,
)
TWO_STAGE = Goal(
    name="distillation.two-stage",
    what="two-stage distillation / none, W1A8 split, the same number of steps",
    better="lower",
    goal=1.6,
)
GOALS = (PREDICTION, TWO_STAGE)

_NONE = "none"


def distillation(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Students of the same kind take turns, each with its losses; all phases of a distillation are as long."""
    known = setting.codec.registry.kinds("distillation")
    there = [target for target in wanted if target.member in known]
    yield from (
        Missing(target=target, reason=f"no plugin has the distillation '{target.member}'")
        for target in wanted
        if target not in there
    )
    if not there:
        return
    found = {target: phases(setting, target.member) for target in there}
    timings = _timings({phase.name: phase for some in found.values() for phase in some}, setting)
    for target in there:
        names = [phase.name for phase in found[target]]
        parts = " + ".join(f"{name} {timings.ratio(name, _NONE).median:.2f}" for name in names)
        yield Row(target=target, ratio=_mean(timings, names), note=f"by phase: {parts}")


def _mean(timings: Timings, names: Sequence[str]) -> Ratio:
    """The mean of all phases, turn by turn."""
    turns = zip(*(timings[name] for name in names), strict=True)
    return Ratio.of([sum(seconds) / len(names) / none for seconds, none in zip(turns, timings[_NONE], strict=True)])


def _timings(taught: Mapping[str, Phase], setting: Setting) -> Timings:
    """By the names of the phases: those of two distillations with the same name have the same losses."""
    setup = _setup(setting)
    with ExitStack() as opened:
        running = {
            name: opened.enter_context(Steps(W1A8.build(setting), phase, setup))
            for name, phase in {_NONE: labels_phase(), **taught}.items()
        }
        return alternate({name: partial(one.take, setting.steps) for name, one in running.items()}, setting.turns)


def _setup(setting: Setting) -> TrainingSetup:
    """The teacher has the width of a branch, as in BinaryBERT: its attention scores are compared with the student's."""
    teacher = Teacher(full_precision(setting, width=0.5), device=setting.device)
    return equal_setup(setting, (setting.turns + 1) * setting.steps, teacher=teacher)
