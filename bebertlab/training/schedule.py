"""The learning rate over a phase."""

from __future__ import annotations

from typing import Literal

#: what follows the warm-up: a straight line down to 0, or the highest rate until the end
Schedule = Literal["linear", "constant"]


def counted_steps(examples: int, batch_size: int, epochs: int, *, as_published: bool = False) -> int:
    """The steps of a phase, after which the rate is 0.

    Differs: the published code leaves out the last, smaller batch of every epoch, as does `as_published`; the rate is 0
    a little before the end then.

    >>> counted_steps(100, 32, 3), counted_steps(100, 32, 3, as_published=True)
    (12, 9)
    """
    whole, left = divmod(examples, batch_size)
    return max(1, whole * epochs) if as_published else (whole + bool(left)) * epochs


def rate_factor(schedule: Schedule, step: int, steps: int, warmup: float, *, as_published: bool = False) -> float:
    """The factor of the highest rate at a step of a phase.

    Differs: a warm-up of less than a step is none; in the published code, and with `as_published`, it makes the first
    step one of rate 0, and a phase of one step does not train at all.

    >>> [rate_factor("constant", step, 4, 0.5) for step in range(4)]
    [0.0, 0.5, 1.0, 1.0]
    """
    warmup = warmup if as_published or warmup * steps >= 1 else 0.0
    return (warmup_linear if schedule == "linear" else warmup_constant)(step, steps, warmup)


def warmup_linear(step: int, steps: int, warmup: float) -> float:
    """Up from 0 over the first `warmup` of the steps, then down to 0, and 0 past the end.

    x = step / steps;  x / warmup where x < warmup, else max(0, (1 - x) / (1 - warmup)).
    The position is that before the step, so the first step of a warmed-up schedule has rate 0.
    Source: the BERT reference code, as in BinaryBERT's optimizer.

    >>> [round(warmup_linear(step, 10, 0.2), 3) for step in range(11)]
    [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]
    """
    position = step / steps
    return position / warmup if position < warmup else max(0.0, (1 - position) / (1 - warmup))


def warmup_constant(step: int, steps: int, warmup: float) -> float:
    """Up from 0 over the first `warmup` of the steps, then 1; with a warm-up of 0 it is 1 from the first step on."""
    position = step / steps
    return position / warmup if position < warmup else 1.0
