"""How much the loss depends on each attention head and each feed-forward neuron."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor

from bebertlab.api import Batch, BertClassifier, QuantSpec, Site, UserError, quantizable_modules

_Gradients = tuple[Tensor, ...]


@frozen(kw_only=True, eq=False)
class Importance:
    """The importance of every head and neuron, to be compared within a layer."""

    heads: Tensor  #: (L, A)
    neurons: Tensor  #: (L, F)


def measure_importance(model: BertClassifier, batches: Iterable[Batch], *, as_published: bool = False) -> Importance:
    """By how much the loss on gold labels would change without a head or a neuron, to the first order.

    Summed over the batches, with d the gradient of a batch's mean loss in evaluation mode:
    of a head |sum over o and i of W_oi dW_oi|, W the columns of the attention output's weight that read the head
    (which is the derivative by a factor on the head, as a mask of ones would be);
    of a neuron |sum over i of U_i dU_i + b db| + |sum over o of V_o dV_o|, U and b what leads to it, V what leads on.
    Source: DynaBERT, arXiv:2004.04037, section 2.1; of heads: Michel et al., arXiv:1905.10650.
    Differs: the published code never clears the gradients, so that a batch adds the absolute value of what all
    batches up to it sum up to; so does `as_published`.

    Raises:
        UserError: there is no batch, or the model is quantized.
    """
    if model.spec != QuantSpec():
        raise UserError("only a full-precision model can be reordered: reorder first, then quantize")
    sizes, weights = model.architecture, _weights(model)
    steps = _gradients(model.eval(), batches, weights)
    heads = neurons = torch.zeros(())
    for step in accumulate(steps, _added) if as_published else steps:
        changes = [weight.detach() * gradient for weight, gradient in zip(weights, step, strict=True)]
        read, up, bias, down = (torch.stack(changes[place::4]) for place in range(4))
        heads = heads + read.sum(1).view(sizes.layers, sizes.heads, sizes.head_size).sum(2).abs()
        neurons = neurons + (up.sum(2) + bias).abs() + down.sum(1).abs()
    if heads.ndim == 0:
        raise UserError("the importance of heads and neurons is that for some examples, and there are none")
    return Importance(heads=heads.cpu(), neurons=neurons.cpu())


def _weights(model: BertClassifier) -> list[Tensor]:
    """Layer after layer what reads the heads, what leads to the neurons (weight and bias) and what leads on."""
    wanted = {Site.ATTENTION_OUTPUT: ("weight",), Site.FFN_UP: ("weight", "bias"), Site.FFN_DOWN: ("weight",)}
    return [
        model.get_parameter(f"{path}.{what}")
        for path, site in quantizable_modules(model.architecture).items()
        for what in wanted.get(site, ())
    ]


def _gradients(model: BertClassifier, batches: Iterable[Batch], weights: Sequence[Tensor]) -> Iterator[_Gradients]:
    """Of every batch's mean loss on gold labels, with respect to the weights."""
    for batch in batches:
        logits = model(batch).logits
        regression = logits.shape[1] == 1
        loss = F.mse_loss(logits[:, 0], batch.labels) if regression else F.cross_entropy(logits, batch.labels)
        yield torch.autograd.grad(loss, weights)


def _added(past: _Gradients, fresh: _Gradients) -> _Gradients:
    return tuple(map(torch.add, past, fresh))
