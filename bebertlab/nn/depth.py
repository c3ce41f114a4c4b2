"""Shallower models: some of the layers, evenly spread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import floor

from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Checkpoint, Design
from bebertlab.nn.bert import meta_model
from bebertlab.nn.design import layer_path
from bebertlab.nn.width import check_full_precision

_LAYER = re.compile(r"bert\.encoder\.layer\.(\d+)(?=\.)")


def kept_layers(layers: int, fraction: float) -> tuple[int, ...]:
    """The layers of `layers` that a fraction keeps: floor(i / fraction) for i < round(layers * fraction).

    Halves are rounded to the even neighbour, 2.5 layers to 2.
    Source: DynaBERT, arXiv:2004.04037, section 2.2; its published code.

    Raises:
        UserError: the fraction is not above 0 and at most 1, or keeps no layer.

    >>> kept_layers(12, 0.75)
    (0, 1, 2, 4, 5, 6, 8, 9, 10)
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"depth {fraction} is out of range; above 0 and at most 1 is right")
    count = round(layers * fraction)
    if count == 0:
        raise UserError(f"depth {fraction} keeps no layer of {layers}; at least {1 / layers:.3g} is right")
    return tuple(floor(index / fraction) for index in range(count))


def slice_depth(checkpoint: Checkpoint, fraction: float) -> Checkpoint:
    """Keep the layers of `kept_layers`, one after the other, and everything outside the layers.

    Source: DynaBERT, arXiv:2004.04037, section 2.2.

    Raises:
        UserError: the fraction is not above 0 and at most 1 or keeps no layer, or the model is quantized.
    """
    check_full_precision(checkpoint.design)
    kept = kept_layers(checkpoint.architecture.layers, fraction)
    sizes = evolve(checkpoint.architecture, layers=len(kept))
    names = meta_model(sizes, Design()).state_dict()
    tensors = {name: checkpoint.tensors[full_name(name, kept)].clone() for name in names}
    return Checkpoint(architecture=sizes, design=Design(), tensors=tensors)


def full_name(name: str, kept: Sequence[int]) -> str:
    """What a tensor of the shallower model is called in the one that it was sliced from.

    >>> full_name("bert.encoder.layer.1.output.dense.bias", (0, 2))
    'bert.encoder.layer.2.output.dense.bias'
    """
    return _LAYER.sub(lambda found: layer_path(kept[int(found[1])]), name)
