"""What a phase trains: a model, or sub-networks on its weights."""

from __future__ import annotations

from torch import nn

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Design
from bebertlab.interfaces.batch import Outputs
from bebertlab.interfaces.distillation import WHOLE, Phase
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.subnetwork import SubNetwork
from bebertlab.nn.width import check_full_precision

Network = BertClassifier | SubNetwork


def phase_networks(model: BertClassifier, phase: Phase, stage: str) -> tuple[Network, ...]:
    """The networks that a phase trains on the weights of a model, the largest first; `stage` is for messages.

    Raises:
        UserError: it trains sub-networks, and the model is quantized or too small for them.
    """
    try:
        check_parts(phase, model.design)
        return tuple(
            model if part == WHOLE else SubNetwork(model, width=part[0], depth=part[1]) for part in phase.parts
        )
    except UserError as error:
        raise UserError(f"{stage}: {error}") from error


def check_parts(phase: Phase, design: Design) -> None:
    """Check that a phase which trains sub-networks has a full-precision model.

    Raises:
        UserError: the design quantizes.
    """
    if phase.parts == (WHOLE,):
        return
    try:
        check_full_precision(design)
    except UserError as error:
        raise UserError(f"phase '{phase.name}' trains sub-networks: {error}") from error


def target_of(network: nn.Module, teacher: Outputs | None) -> Outputs | None:
    """What of the teacher's outputs a network learns from."""
    return teacher if teacher is None or not isinstance(network, SubNetwork) else network.counterpart(teacher)
