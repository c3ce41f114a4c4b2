"""The steps of a phase and the learning rate in each of them."""

from __future__ import annotations

from typing import Literal

Schedule = Literal["linear", "constant"]
"""What follows the warm-up: a linear decay to 0, or the highest rate until the end."""


def counted_steps(examples: int, batch_size: int, epochs: int, *, as_published: bool = False) -> int:
    """The steps of a phase, after which the rate is 0.

    Differs: the published code does not count the last, smaller batch of each epoch, as with `as_published`; the rate
    then reaches 0 shortly before the end.

    >>> counted_steps(100, 32, 3), counted_steps(100, 32, 3, as_published=True)
    (12, 9)
    """
    full, remainder = divmod(examples, batch_size)
    return max(1, full * epochs) if as_published else (full + bool(remainder)) * epochs


def part_ends(steps: int, parts: int) -> frozenset[int]:
    """The last step, counted from 1, of each of `parts` equal parts.

    >>> sorted(part_ends(10, 3))
    [4, 7, 10]
    """
    return frozenset(-(-steps * part // parts) for part in range(1, parts + 1))


def rate_factor(schedule: Schedule, step: int, steps: int, warmup: float, *, as_published: bool = False) -> float:
    """The factor of the highest rate at a step of a phase, counted from 0.

    Differs: a warm-up of less than one step is ignored; in the published code, and with `as_published`, it makes the
    rate of the first step 0, and a phase of one step does not train at all.

    >>> [rate_factor("constant", step, 4, 0.5) for step in range(4)]
    [0.0, 0.5, 1.0, 1.0]
    """
    warmup = warmup if as_published or warmup * steps >= 1 else 0.0
    return (warmup_linear if schedule == "linear" else warmup_constant)(step, steps, warmup)


def warmup_linear(step: int, steps: int, warmup: float) -> float:
    """Rise from 0 over the first `warmup` of the steps, then fall to 0 at the last; 0 afterwards.

    x = step / steps;  x / warmup where x < warmup, else max(0, (1 - x) / (1 - warmup)).
    The position is that before the step, so the first step of a schedule with a warm-up has rate 0.
    Source: the BERT reference code, as in BinaryBERT's optimizer.

    >>> [round(warmup_linear(step, 10, 0.2), 3) for step in range(11)]
    [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]
    """
    position = step / steps
    return position / warmup if position < warmup else max(0.0, (1 - position) / (1 - warmup))


def warmup_constant(step: int, steps: int, warmup: float) -> float:
    """Rise from 0 over the first `warmup` of the steps, then stay at 1; with a warm-up of 0 it is always 1."""
    position = step / steps
    return position / warmup if position < warmup else 1.0
