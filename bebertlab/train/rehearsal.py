"""Losses on outputs of the right sizes, all 0, so that models which cannot be compared are refused early."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import torch
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.nn.depth import kept_layers
from bebertlab.nn.subnetwork import kept_outputs
from bebertlab.nn.width import narrowed
from bebertlab.train.objective import Objective

_log = logging.getLogger(__name__)

_TOKENS = 2


def rehearse(phases: Sequence[Phase], student: Architecture, teacher: Architecture, outputs: int) -> None:
    """Compute the losses that compare inner layers, for models of these sizes and a task of so many outputs.

    Raises:
        UserError: a loss cannot compare them, such as of another width or depth; or a part of the student is too small.
    """
    for phase in phases:
        objective = Objective(phase.losses, outputs)
        if objective.teacher_taps:
            for sizes, target in _comparisons(phase, objective, student, teacher):
                _compare(objective, _outputs(sizes, objective.student_taps, outputs), target, outputs)


def _comparisons(
    phase: Phase, objective: Objective, student: Architecture, teacher: Architecture
) -> Iterator[tuple[Architecture, Outputs]]:
    """The sizes of every network that a phase trains, with what it learns from."""
    target = _outputs(teacher, objective.teacher_taps, teacher.classes)
    for width, depth in phase.parts:
        layers = kept_layers(student.layers, depth)
        sizes = evolve(narrowed(student, width), layers=len(layers))
        yield sizes, kept_outputs(target, layers, student.layers)


def _compare(objective: Objective, student: Outputs, teacher: Outputs, outputs: int) -> None:
    try:
        objective(student, teacher, _batch(outputs))
    except UserError:
        raise
    except Exception as error:  # a loss of a plugin may want more than zeros; training says what is wrong then
        _log.info("a loss could not be computed on zeros: %s", error)


def _outputs(sizes: Architecture, taps: frozenset[Tap], outputs: int) -> Outputs:
    hidden = torch.zeros(1, _TOKENS, sizes.hidden)
    between = torch.zeros(1, sizes.heads, _TOKENS, _TOKENS)
    kept = {tap: (hidden,) * (sizes.layers + 1) if tap is Tap.HIDDEN else (between,) * sizes.layers for tap in taps}
    return Outputs(logits=torch.zeros(1, outputs), taps=kept)


def _batch(outputs: int) -> Batch:
    tokens = torch.zeros(1, _TOKENS, dtype=torch.int64)
    return Batch(
        positions=torch.zeros(1, dtype=torch.int64),
        tokens=tokens,
        segments=tokens,
        mask=torch.ones(1, _TOKENS, dtype=torch.bool),
        labels=torch.zeros(1, dtype=torch.float32 if outputs == 1 else torch.int64),
    )
