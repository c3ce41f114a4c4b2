"""Network rewiring: the importance of each attention head and feed-forward neuron, and models reordered by it.

Source: DynaBERT, arXiv:2004.04037, section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.api import Batch, BertClassifier, Checkpoint, QuantSpec, Site, UserError, quantizable_modules

_Gradients = tuple[Tensor, ...]


@frozen(kw_only=True, eq=False)
class Importance:
    """The importance of every head and neuron, comparable within a layer."""

    heads: Tensor  #: (L, A)
    neurons: Tensor  #: (L, F)


def measure_importance(model: BertClassifier, batches: Iterable[Batch], *, as_published: bool = False) -> Importance:
    """By how much the loss on gold labels would change without a head or a neuron, to the first order.

    Summed over the batches, with d the gradient of a batch's mean loss in evaluation mode:
    of a head |sum over o and i of W_oi dW_oi|, W the columns of the attention output's weight that read the head
    (which is the derivative by a factor on the head, as a mask of ones would be);
    of a neuron |sum over i of U_i dU_i + b db| + |sum over o of V_o dV_o|, U and b its incoming weights and bias, V its
    outgoing weights.
    Source: DynaBERT, arXiv:2004.04037, section 2.1; of heads: Michel et al., arXiv:1905.10650.
    Differs: the published code never clears the gradients, so that a batch adds the absolute value of the sum of all
    batches up to it; so does `as_published`.

    Raises:
        UserError: there is no batch, or the model is quantized.
    """
    _check_full_precision(model.spec)
    sizes, weights = model.architecture, _weights(model)
    steps = _gradients(model.eval(), batches, weights)
    heads = neurons = torch.zeros(())
    for gradients in accumulate(steps, _add) if as_published else steps:
        changes = [weight.detach() * gradient for weight, gradient in zip(weights, gradients, strict=True)]
        output, up, bias, down = (torch.stack(changes[start::4]) for start in range(4))
        heads = heads + output.sum(1).view(sizes.layers, sizes.heads, sizes.head_size).sum(2).abs()
        neurons = neurons + (up.sum(2) + bias).abs() + down.sum(1).abs()
    if heads.ndim == 0:
        raise UserError("the importance of heads and neurons is measured on examples, and there are none")
    return Importance(heads=heads.cpu(), neurons=neurons.cpu())


def _check_full_precision(spec: QuantSpec) -> None:
    if spec != QuantSpec():
        raise UserError("only a full-precision model can be reordered: reorder first, then quantize")


def _weights(model: BertClassifier) -> list[Tensor]:
    """Layer after layer: the weight that reads the heads, weight and bias into the neurons, the weight out of them."""
    parameters_of_site = {
        Site.ATTENTION_OUTPUT: ("weight",),
        Site.FFN_UP: ("weight", "bias"),
        Site.FFN_DOWN: ("weight",),
    }
    return [
        model.get_parameter(f"{path}.{name}")
        for path, site in quantizable_modules(model.architecture).items()
        for name in parameters_of_site.get(site, ())
    ]


def _gradients(model: BertClassifier, batches: Iterable[Batch], weights: Sequence[Tensor]) -> Iterator[_Gradients]:
    """Of every batch's mean loss on gold labels, with respect to the weights."""
    for batch in batches:
        logits = model(batch).logits
        regression = logits.shape[1] == 1
        loss = F.mse_loss(logits[:, 0], batch.labels) if regression else F.cross_entropy(logits, batch.labels)
        yield torch.autograd.grad(loss, weights)


def _add(total: _Gradients, gradients: _Gradients) -> _Gradients:
    return tuple(map(torch.add, total, gradients))


@frozen(kw_only=True, eq=False)
class NeuronOrder:
    """A permutation of the heads and neurons of every layer: position i gets the head or neuron numbered at i."""

    heads: Tensor  #: (L, A) int64
    neurons: Tensor  #: (L, F) int64


def descending(importance: Importance) -> NeuronOrder:
    """The most important first; equally important ones keep their order."""
    return NeuronOrder(
        heads=importance.heads.argsort(dim=1, descending=True, stable=True),
        neurons=importance.neurons.argsort(dim=1, descending=True, stable=True),
    )


def reordered(checkpoint: Checkpoint, order: NeuronOrder) -> Checkpoint:
    """The same function with heads and neurons in another order, so that a slice by width keeps the first of them.

    Rows of query, key and value (with biases) and columns of the attention output are permuted by heads; rows of the
    first feed-forward layer (with biases) and columns of the second by neurons.
    Source: DynaBERT, arXiv:2004.04037, section 2.1 (network rewiring).

    Raises:
        UserError: the model is quantized.
    """
    _check_full_precision(checkpoint.spec)
    tensors = dict(checkpoint.tensors)
    for path, dimension, indices in _permutations(checkpoint, order):
        names = ("weight", "bias") if dimension == 0 else ("weight",)
        for name in (f"{path}.{name}" for name in names):
            tensors[name] = tensors[name].index_select(dimension, indices)
    return evolve(checkpoint, tensors=tensors)


def _permutations(checkpoint: Checkpoint, order: NeuronOrder) -> Iterator[tuple[str, int, Tensor]]:
    """Module path, dimension of its weight, and the new order of that dimension."""
    sizes = checkpoint.architecture
    offsets = torch.arange(sizes.head_size)
    features = (order.heads.unsqueeze(2) * sizes.head_size + offsets).flatten(1)
    permuted = {
        **dict.fromkeys((Site.QUERY, Site.KEY, Site.VALUE), (0, features)),
        Site.ATTENTION_OUTPUT: (1, features),
        Site.FFN_UP: (0, order.neurons),
        Site.FFN_DOWN: (1, order.neurons),
    }
    layers = dict.fromkeys(permuted, 0)
    for path, site in quantizable_modules(sizes).items():
        if site in permuted:
            dimension, indices = permuted[site]
            yield path, dimension, indices[layers[site]]
            layers[site] += 1
