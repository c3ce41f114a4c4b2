"""What a phase trains: a model, or sub-networks on its weights."""

from __future__ import annotations

from torch import nn

from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Outputs
from bebertlab.interfaces.distillation import Phase
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.subnetwork import SubNetwork

Network = BertClassifier | SubNetwork


def phase_networks(model: BertClassifier, phase: Phase, stage: str) -> tuple[Network, ...]:
    """The networks that a phase trains on the weights of a model, the largest first; `stage` is for messages.

    Raises:
        UserError: it trains sub-networks, and the model is quantized or too small for them.
    """
    try:
        return tuple(
            model if (width, depth) == (1.0, 1.0) else SubNetwork(model, width=width, depth=depth)
            for width, depth in phase.parts
        )
    except UserError as error:
        raise UserError(f"{stage}: phase '{phase.name}' trains sub-networks: {error}") from error


def target_of(network: nn.Module, teacher: Outputs | None) -> Outputs | None:
    """What of the teacher's outputs a network learns from."""
    return teacher if teacher is None or not isinstance(network, SubNetwork) else network.counterpart(teacher)
