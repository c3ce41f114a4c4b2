"""The learning rate over a phase."""

from __future__ import annotations


def warmup_linear(step: int, steps: int, warmup: float) -> float:
    """The factor of the highest rate at a step: up from 0 over the first `warmup` of the steps, then down to 0.

    The position is that before the step, so the first step of a warmed-up schedule has rate 0.
    Source: the BERT reference code, as in BinaryBERT's optimizer.  Differs: a warm-up of less than a step is none,
    or a phase of one step would not train at all.

    >>> [round(warmup_linear(step, 10, 0.2), 3) for step in range(10)]
    [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    """
    position = step / steps
    if warmup * steps < 1:
        return 1 - position
    return position / warmup if position < warmup else (1 - position) / (1 - warmup)
