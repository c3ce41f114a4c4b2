"""Ternary weight splitting: a ternary model becomes a binary one of two branches and the same function."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.api import (
    Checkpoint,
    Design,
    Site,
    Splitter,
    SplitterOptions,
    UserError,
    branch_prefix,
    quantizable_modules,
)
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.twn import Twn

#: where the small weights outweigh this part of the large ones, the published equations have no good solution
_SOLVABLE = 0.999


@frozen(kw_only=True)
class Tws(SplitterOptions):
    """Splits ternary weights (`twn`) into two binary branches (`bwn`) of the same function."""

    kind = "tws"

    def build(self) -> TernaryWeightSplitter:
        """The splitter."""
        return TernaryWeightSplitter()


class TernaryWeightSplitter(Splitter):
    """Splits every ternary weight into two whose binarized sum is its ternarization.

    Every module with ternary weights gets two branches: the weights of `split_weight`, half of the bias each, and
    the same state of the input quantizer each. Everything else stays.
    Source: BinaryBERT, arXiv:2012.15701, section 3.1; its published code.
    Differs: biases and steps keep their dtype (the published code stores them as float64).
    """

    def split(self, source: Checkpoint) -> Checkpoint:
        """The split checkpoint."""
        design = source.design
        ternary = _ternary(design)
        sites = quantizable_modules(source.architecture)
        modules = {path: ternary[site] for path, site in sites.items() if site in ternary}
        tensors = dict(source.tensors)
        for path, options in modules.items():
            tensors |= _branches(path, options, source.tensors)
        binary = {site: Bwn(granularity=options.granularity) for site, options in ternary.items()}
        split = evolve(design, weights=binary).with_branches({**design.branches, **dict.fromkeys(modules, 2)})
        return Checkpoint(architecture=source.architecture, design=split, tensors=tensors)


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
    the sum over T is as large as S (no a between 0 and 1 solves them) every other weight of T, by size, changes
    sides. A group of zeros stays zeros; with T empty a = 1/2.
    """
    levels = ternary.build(weight.shape).encode(weight).levels
    clipped = weight if ternary.clip is None else weight.clamp(-ternary.clip, ternary.clip)
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


def _sides(small: Tensor, mass: Tensor) -> Tensor:
    """+1 where the first branch takes the positive part of a small weight, -1 where the second one does."""
    sides = torch.ones_like(small)
    surplus = small.sum(1, keepdim=True).abs()
    for row in ((surplus > _SOLVABLE * mass) & (mass > 0)).flatten().nonzero().flatten().tolist():
        # taken by size in turns, the sizes of one side exceed those of the other by at most the largest of them
        turns = sides[row].index_fill(0, small[row].abs().argsort(descending=True)[1::2], -1)
        sides[row] = torch.where(small[row] < 0, -turns, turns)
    return sides


def _branches(path: str, options: Twn, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of both branches of a module."""
    first, second = branch_prefix(path, 0, 2), branch_prefix(path, 1, 2)
    made = {}
    for name, tensor in tensors.items():
        if name.startswith(first):
            rest = name.removeprefix(first)
            made[first + rest], made[second + rest] = _halves(rest, tensor, options)
    return made


def _halves(name: str, tensor: Tensor, options: Twn) -> tuple[Tensor, Tensor]:
    if name == "weight":
        one, other = split_weight(tensor, options)
        return one.to(tensor.dtype), other.to(tensor.dtype)
    half = tensor / 2 if name == "bias" else tensor.clone()  # the rest is the state of the input quantizer
    return half, half.clone()


def _ternary(design: Design) -> dict[Site, Twn]:
    """The ternary quantizers by site; a model of which the split would not keep the function is refused."""
    needed = "splitter 'tws' splits ternary weights: train a model under twn first (binarybert with weight_bits: 2)"
    if not design.weights:
        raise UserError(f"{needed}; this one has full-precision weights")
    ternary = {site: options for site, options in design.weights.items() if isinstance(options, Twn)}
    others = [f"{site.value} is {o.kind}" for site, o in design.weights.items() if site not in ternary]
    if others:
        raise UserError(f"{needed}; here {', '.join(others)}")
    if several := [path for path, branches in design.branches.items() if branches > 1]:
        raise UserError(f"splitter 'tws' splits modules of one branch; already split: {', '.join(several)}")
    return ternary
