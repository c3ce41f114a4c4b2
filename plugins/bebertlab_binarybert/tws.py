"""Ternary weight splitting: a ternary model becomes a binary one of two branches and the same function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.api import (
    Checkpoint,
    Measure,
    QuantSpec,
    Splitter,
    SplitterOptions,
    Splitting,
    UserError,
    branch_prefix,
    quantizable_modules,
)
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.twn import Twn

#: if the small weights exceed this fraction of the large ones, the published equations have no usable solution
_SOLVABLE = 0.999


@frozen(kw_only=True)
class Tws(SplitterOptions):
    """Splits ternary weights (`twn`) into two binary branches (`bwn`) of the same function."""

    kind = "tws"

    def spec(self, source: QuantSpec) -> QuantSpec:
        """Binary weights in place of ternary ones."""
        return binary_spec(source)

    def build(self) -> TernaryWeightSplitter:
        """The splitter."""
        return TernaryWeightSplitter()


class TernaryWeightSplitter(Splitter):
    """Splits every ternary weight into two whose binarized sum is its ternarization.

    Every module with ternary weights gets two branches: the weights of `split_weight`, half of the bias each, and
    the same state of the input quantizer each. Everything else is unchanged.
    Source: BinaryBERT, arXiv:2012.15701, section 3.1; its published code.
    Differs: biases and steps keep their dtype (the published code stores them as float64).
    """

    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        """The split checkpoint; nothing is measured."""
        return Splitting(checkpoint=split_all(source, ternary_modules(source, Tws.kind)))


def ternary_modules(source: Checkpoint, splitter: str) -> dict[str, Twn]:
    """The quantizers of all modules with ternary weights, by path.

    Raises:
        UserError: the model has none, other ones as well, or is split already; `splitter` is named in the message.
    """
    spec = source.spec
    needed = (
        f"splitter '{splitter}' splits ternary weights: train a model under twn first (binarybert with weight_bits: 2)"
    )
    if not spec.weights:
        raise UserError(f"{needed}; this one has full-precision weights")
    ternary = {site: options for site, options in spec.weights.items() if isinstance(options, Twn)}
    others = [f"{site.value} is {o.kind}" for site, o in spec.weights.items() if site not in ternary]
    if others:
        raise UserError(f"{needed}; here {', '.join(others)}")
    if several := [path for path, branches in spec.branches.items() if branches > 1]:
        raise UserError(f"splitter '{splitter}' splits modules of one branch; already split: {', '.join(several)}")
    sites = quantizable_modules(source.architecture)
    return {path: ternary[site] for path, site in sites.items() if site in ternary}


def split_all(source: Checkpoint, modules: Mapping[str, Twn]) -> Checkpoint:
    """The checkpoint with each of its ternary modules, those of `ternary_modules`, split in two."""
    tensors = dict(source.tensors)
    for path, options in modules.items():
        tensors |= two_branches(path, source.tensors, partial(split_weight, ternary=options))
    split = binary_spec(source.spec).with_branches({**source.spec.branches, **dict.fromkeys(modules, 2)})
    return Checkpoint(architecture=source.architecture, spec=split, tensors=tensors)


def binary_spec(source: QuantSpec) -> QuantSpec:
    """The spec of a ternary model with binary weights of the same granularity."""
    weights = {
        site: Bwn(granularity=options.granularity, as_published=options.as_published)
        for site, options in source.weights.items()
        if isinstance(options, Twn)
    }
    return evolve(source, weights=weights)


def split_weight(weight: Tensor, ternary: Twn) -> tuple[Tensor, Tensor]:
    """Two float64 weights with w1 + w2 = w and bwn(w1) + bwn(w2) = twn(w), for each group that shares a scale.

    With I the large weights (twn is not 0), T the n - |I| small ones, S the sum of |w| over I, alpha = S / |I|,
    u = max(w, 0) and v = min(w, 0):
    on I: w1 = a w, w2 = (1 - a) w;  on T: w1 = u + b, w2 = v - b;
    a = (S - sum of w over T) / (2 S),  b = (n alpha - sum of |w|) / (2 |T|).
    So both have the scale alpha / 2, equal signs on I and opposite ones on T.
    Shape: (O, I) or (V, H) -> twice the same.
    Source: BinaryBERT, arXiv:2012.15701, section 3.1; signs as in its published code.
    Differs: the equations as printed have the sum over T with the other sign, which misses the ternary weights. Where
    the sum over T is as large as S (no a between 0 and 1 solves them) every other weight of T, by magnitude, is
    assigned to the other branch. A group of zeros remains zero; with T empty a = 1/2.
    """
    levels = ternary.build(weight.shape).encode(weight).levels
    clipped = clip_weight(weight, ternary)
    w = clipped.double() if ternary.granularity == "row" else clipped.double().reshape(1, -1)
    large = levels.reshape(w.shape) != 0
    small, size = w.masked_fill(large, 0), w.abs()
    mass = size.masked_fill(~large, 0).sum(1, keepdim=True)
    side = _sides(small, mass)
    a = 0.5 - (side * small).sum(1, keepdim=True) / (2 * mass).clamp(min=torch.finfo(w.dtype).tiny)
    total = w.shape[1] * mass / large.sum(1, keepdim=True).clamp(min=1)
    b = (total - size.sum(1, keepdim=True)) / (2 * (~large).sum(1, keepdim=True)).clamp(min=1)
    up, down = w.clamp(min=0) + b, w.clamp(max=0) - b
    first = torch.where(large, a * w, torch.where(side > 0, up, down))
    second = torch.where(large, (1 - a) * w, torch.where(side > 0, down, up))
    return first.view(weight.shape), second.view(weight.shape)


def clip_weight(weight: Tensor, ternary: Twn) -> Tensor:
    """A weight after the clipping of its quantizer."""
    return weight if ternary.clip is None else weight.clamp(-ternary.clip, ternary.clip)


def _sides(small: Tensor, mass: Tensor) -> Tensor:
    """+1 where the first branch takes the positive part of a small weight, -1 where the second one does."""
    sides = torch.ones_like(small)
    surplus = small.sum(1, keepdim=True).abs()
    for row in ((surplus > _SOLVABLE * mass) & (mass > 0)).flatten().nonzero().flatten().tolist():
        # assigned alternately by magnitude, the sums of both sides differ by at most the largest weight
        turns = sides[row].index_fill(0, small[row].abs().argsort(descending=True)[1::2], -1)
        sides[row] = torch.where(small[row] < 0, -turns, turns)
    return sides


def two_branches(
    path: str, tensors: Mapping[str, Tensor], pair: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> dict[str, Tensor]:
    """The tensors of both branches of a module of one: the pair of its weight, half of its bias, copies of others."""
    first, second = branch_prefix(path, 0, 2), branch_prefix(path, 1, 2)
    split: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(first):
            what = name.removeprefix(first)
            if what == "weight":
                first_tensor, second_tensor = (half.to(tensor.dtype) for half in pair(tensor))
            else:
                first_tensor = tensor / 2 if what == "bias" else tensor.clone()  # or the state of the input quantizer
                second_tensor = first_tensor.clone()
            split[first + what], split[second + what] = first_tensor, second_tensor
    return split
