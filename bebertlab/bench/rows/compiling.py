"""What torch.compile costs at first and gains later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bebertlab.bench.clock import alternate
from bebertlab.bench.row import Finding, Goal, Row
from bebertlab.bench.scheme import W1A8
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import TOKENS, Steps, equal_setup, labels_phase, train_options

GOALS = (
    Goal(
        name="compile.speed",
        what=f"step / compiled step, W1A8 split, {TOKENS} tokens",
        better="higher",
        quick=False,
    ),
)


def compiling(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """The first steps compile; the break-even is the training that is long enough to win that back."""
    steps = (setting.turns + 2) * setting.steps
    options = train_options(setting, compile=True)
    with (
        Steps(W1A8.build(setting), labels_phase(), equal_setup(setting, steps)) as plain,
        Steps(W1A8.build(setting), labels_phase(), equal_setup(setting, steps, options=options)) as compiled,
    ):
        first = compiled.take(setting.steps) - plain.take(setting.steps)
        blocks = {"plain": lambda: plain.take(setting.steps), "compiled": lambda: compiled.take(setting.steps)}
        timings = alternate(blocks, setting.turns)
    saved = (timings.median("plain") - timings.median("compiled")) / setting.steps
    pays = f"break-even after {first / saved:.0f} steps" if saved > 0 else "never pays"
    note = f"compiling takes {first:.0f} s; {pays}"
    yield from (Row(target=target, ratio=timings.ratio("plain", "compiled"), note=note) for target in wanted)
