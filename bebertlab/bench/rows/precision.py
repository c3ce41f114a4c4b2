"""Training in bfloat16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import torch

from bebertlab.bench.clock import Ratio, alternate
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.scheme import W1A8
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import TOKENS, Steps, equal_setup, labels_phase, train_options
from bebertlab.model.precision import multiplies_in_bf16

SPEED = Goal(
    name="bf16.speed",
    what=f"fp32 step / bf16 step, W1A8 split, {TOKENS} tokens",
    better="higher",
    goal=1.5,
)
REPEAT = Goal(
    name="bf16.repeat",
    what="weights that differ after the same training in bf16 twice, W1A8 split",
    better="lower",
    goal=0.0,
    quick=False,
)
GOALS = (SPEED, REPEAT)

_NO_BF16 = "this device has no bf16 instructions (AVX512-BF16, AMX), so bf16 would be slower than fp32"


def precision(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Speed only where the processor multiplies in bfloat16; that it repeats, everywhere."""
    for target in wanted:
        if target is REPEAT:
            yield _repeated(setting)
        elif multiplies_in_bf16(setting.device):
            yield _speed(setting)
        else:
            yield Missing(target=target, reason=_NO_BF16)


def _speed(setting: Setting) -> Row:
    steps = (setting.turns + 1) * setting.steps
    with ExitStack() as opened:
        running = {
            name: opened.enter_context(
                Steps(
                    W1A8.build(setting),
                    labels_phase(),
                    equal_setup(setting, steps, options=train_options(setting, precision=name)),
                )
            )
            for name in ("fp32", "bf16")
        }
        timings = alternate({name: partial(one.take, setting.steps) for name, one in running.items()}, setting.turns)
    note = " / ".join(f"{1000 * timings.median(name) / setting.steps:.0f} ms" for name in running)
    return Row(target=SPEED, ratio=timings.ratio("fp32", "bf16"), note=note)


def _repeated(setting: Setting) -> Row:
    steps = 3
    options = train_options(setting, precision="bf16")
    setup = equal_setup(setting, steps, options=options)
    ends = []
    for _ in range(2):
        model = W1A8.build(setting)
        with Steps(model, labels_phase(), setup) as training:
            training.take(steps)
        ends.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    different = int((ends[0] != ends[1]).sum())
    return Row(target=REPEAT, ratio=Ratio.of([float(different)]), note=f"{steps} steps, {len(ends[0])} weights")
