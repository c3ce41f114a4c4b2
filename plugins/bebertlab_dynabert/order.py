"""Heads and neurons in another order, most important first."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.api import Checkpoint, QuantSpec, Site, UserError, quantizable_modules
from bebertlab_dynabert.importance import Importance


@frozen(kw_only=True, eq=False)
class NeuronOrder:
    """Which head and neuron comes where: the i-th of a layer is the one that was in the place named at i."""

    heads: Tensor  #: (L, A) int64
    neurons: Tensor  #: (L, F) int64


def descending(importance: Importance) -> NeuronOrder:
    """The most important first; of equals the one that was first."""
    return NeuronOrder(
        heads=importance.heads.argsort(dim=1, descending=True, stable=True),
        neurons=importance.neurons.argsort(dim=1, descending=True, stable=True),
    )


def reordered(checkpoint: Checkpoint, order: NeuronOrder) -> Checkpoint:
    """The same function with heads and neurons in another order, so that a slice by width keeps the first of them.

    Rows of query, key and value (with biases) and columns of the attention output go by heads; rows of the first
    feed-forward layer (with biases) and columns of the second by neurons.
    Source: DynaBERT, arXiv:2004.04037, section 2.1 (network rewiring).

    Raises:
        UserError: the model is quantized.
    """
    if checkpoint.spec != QuantSpec():
        raise UserError("only a full-precision model can be reordered: reorder first, then quantize")
    tensors = dict(checkpoint.tensors)
    for path, dimension, places in _moves(checkpoint, order):
        names = ("weight", "bias") if dimension == 0 else ("weight",)
        for name in (f"{path}.{what}" for what in names):
            tensors[name] = tensors[name].index_select(dimension, places)
    return evolve(checkpoint, tensors=tensors)


def _moves(checkpoint: Checkpoint, order: NeuronOrder) -> Iterator[tuple[str, int, Tensor]]:
    """Module, dimension of its weight, and the new order of that dimension."""
    sizes = checkpoint.architecture
    mask_gradient = torch.arange(sizes.head_size)
    features = (order.heads.unsqueeze(2) * sizes.head_size + mask_gradient).flatten(1)
    moves = {
        **dict.fromkeys((Site.QUERY, Site.KEY, Site.VALUE), (0, features)),
        Site.ATTENTION_OUTPUT: (1, features),
        Site.FFN_UP: (0, order.neurons),
        Site.FFN_DOWN: (1, order.neurons),
    }
    layers = dict.fromkeys(moves, 0)
    for path, site in quantizable_modules(sizes).items():
        if site in moves:
            dimension, places = moves[site]
            yield path, dimension, places[layers[site]]
            layers[site] += 1
