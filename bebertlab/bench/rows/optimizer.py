"""What part of a step the optimizer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from bebertlab.bench.clock import Ratio, timed
from bebertlab.bench.row import Finding, Goal, Row
from bebertlab.bench.scheme import W1A8
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import TOKENS, Steps, equal_setup, labels_phase

GOALS = (
    Goal(
        name="optimizer.w1a8",
        what=f"the optimizer's part of a training step, W1A8 split, {TOKENS} tokens",
        better="lower",
        goal=0.12,
    ),
)


class Stopwatch:
    """A function that knows how many seconds its calls took."""

    def __init__(self, call: Callable[..., object], device: str) -> None:
        self._call, self._device = call, device
        self.seconds = 0.0

    def __call__(self, *arguments: object) -> None:
        """Call it."""
        self.seconds += timed(lambda: self._call(*arguments), self._device)


def optimizer(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Clipping the gradients, the update and clearing the gradients."""
    setup = equal_setup(setting, (setting.turns + 1) * setting.steps)
    with Steps(W1A8.build(setting), labels_phase(), setup) as training:
        watch = Stopwatch(training.run.optimizer.step, setting.device)
        training.run.optimizer.step = watch  # type: ignore[assignment,method-assign]
        training.take(setting.steps)
        turns = [_turn(training, watch, setting.steps) for _ in range(setting.turns)]
    part = Ratio.of([updating / all_of_it for updating, all_of_it in turns])
    updating, all_of_it = (1000 * median(seconds) / setting.steps for seconds in zip(*turns, strict=True))
    note = f"{updating:.0f} ms / {all_of_it:.0f} ms"
    yield from (Row(target=target, ratio=part, note=note) for target in wanted)


def _turn(training: Steps, watch: Stopwatch, steps: int) -> tuple[float, float]:
    """Seconds of the updates, and of the steps."""
    watch.seconds = 0.0
    seconds = training.take(steps)
    return watch.seconds, seconds
