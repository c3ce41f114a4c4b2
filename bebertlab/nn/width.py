"""Narrower models: the first heads and the first neurons of every layer."""

from __future__ import annotations

from attrs import evolve
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design
from bebertlab.nn.design import layer_path


def narrowed(sizes: Architecture, fraction: float) -> Architecture:
    """The sizes of the slice that keeps the first round(A * fraction) heads and the same part of the neurons.

    Halves are rounded to the even neighbour, 2.5 heads to 2.
    Source: DynaBERT, arXiv:2004.04037, section 2.1; its published code rounds like this.

    Raises:
        UserError: the fraction is not above 0 and at most 1, or keeps no head.
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"width {fraction} is out of range; above 0 and at most 1 is right")
    heads = round(sizes.heads * fraction)
    ffn = int(heads / sizes.heads * sizes.ffn)
    if heads == 0 or ffn == 0:
        raise UserError(f"width {fraction} keeps no head of {sizes.heads}; at least {1 / sizes.heads:.3g} is right")
    return evolve(sizes, heads=heads, ffn=ffn)


def slice_width(checkpoint: Checkpoint, fraction: float) -> Checkpoint:
    """Keep the first heads and neurons of every layer, as many as `narrowed` says.

    The head size stays; hidden states, embeddings, LayerNorms, pooler and classifier are never sliced.
    Source: DynaBERT, arXiv:2004.04037, section 2.1.

    Raises:
        UserError: the fraction is not above 0 and at most 1 or keeps no head, or the model is quantized.
    """
    check_full_precision(checkpoint.design)
    sizes = narrowed(checkpoint.architecture, fraction)
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    for index in range(sizes.layers):
        _slice_layer(tensors, layer_path(index), sizes.heads * sizes.head_size, sizes.ffn)
    return Checkpoint(architecture=sizes, design=Design(), tensors=tensors)


def check_full_precision(design: Design) -> None:
    """Refuse a design that quantizes: a scale over a whole matrix is not that of a slice of it.

    Raises:
        UserError: the design quantizes.
    """
    if design != Design():
        raise UserError("only a full-precision model can be sliced: slice first, then quantize")


def _slice_layer(tensors: dict[str, Tensor], layer: str, attention: int, ffn: int) -> None:
    rows = {f"{layer}.attention.self.{name}": attention for name in ("query", "key", "value")}
    for path, size in (rows | {f"{layer}.intermediate.dense": ffn}).items():
        for what in ("weight", "bias"):
            tensors[f"{path}.{what}"] = tensors[f"{path}.{what}"][:size].clone()
    for path, size in ((f"{layer}.attention.output.dense", attention), (f"{layer}.output.dense", ffn)):
        tensors[f"{path}.weight"] = tensors[f"{path}.weight"][:, :size].clone()
