"""Adaptive splitting: under a budget, split only the modules that gain most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from attrs import evolve, field, frozen, validators
from torch import Tensor

from bebertlab.api import (
    FULL_PRECISION_BITS,
    Checkpoint,
    Measure,
    QuantSpec,
    Splitter,
    SplitterOptions,
    Splitting,
    UserError,
    branch_counts,
    branch_prefix,
    model_operations,
    quantizable_modules,
    usual_tokens,
)
from bebertlab_binarybert.twn import Twn
from bebertlab_binarybert.tws import binary_spec, clip_weight, split_all, ternary_modules, two_branches

_FRACTION = 0.5  #: of the bits that splitting every module adds, where no budget is named
_SLACK = 1e-9  #: fraction of a budget by which rounding may exceed it

_positive = validators.optional(validators.gt(0.0))


@frozen(kw_only=True)
class Adaptive(SplitterOptions):
    """Splits the ternary modules (`twn`) that gain most from it within a budget; binarizes the others."""

    kind = "adaptive"
    budget_mebibytes: float | None = field(default=None, validator=_positive)  #: of all matrices after the split
    budget_gigaflops: float | None = field(default=None, validator=_positive)  #: of a forward pass after the split
    fraction: float | None = field(
        default=None, validator=validators.optional([validators.ge(0.0), validators.le(1.0)])
    )  #: of the bits that splitting every module adds; half of them where no budget is named

    def __attrs_post_init__(self) -> None:
        """Refuse two budgets."""
        if sum(budget is not None for budget in (self.budget_mebibytes, self.budget_gigaflops, self.fraction)) > 1:
            raise UserError("splitter 'adaptive' takes only one of budget_mebibytes, budget_gigaflops and fraction")

    def spec(self, source: QuantSpec) -> QuantSpec:
        """Binary weights in place of ternary ones, whichever are split."""
        return binary_spec(source)

    def build(self) -> AdaptiveSplitter:
        """The splitter."""
        return AdaptiveSplitter(self)


class AdaptiveSplitter(Splitter):
    """Splits the modules that reduce the loss most under a budget; every other one gets one binary branch.

    u_m = the loss on the select split of the split model with module m alone in one branch, bwn(w_m), less that of the
    split model; s = arg max of sum s_m u_m where sum s_m c_m <= budget - cost of the model without any split, s_m 0 or
    1, found by dynamic programming; c_m are the bits, or the operations, that the second branch of m adds.
    A module that does not gain from a split (u_m <= 0) is not split at any budget.
    Source: BinaryBERT, arXiv:2012.15701, adaptive splitting; no code for it was published.
    """

    def __init__(self, options: Adaptive) -> None:
        self.options = options
        self.unit: Unit = "mebibytes" if options.budget_gigaflops is None else "gigaflops"

    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        """The checkpoint with some modules split, after one measurement for each ternary module."""
        modules = ternary_modules(source, Adaptive.kind)
        costs = Costs(source, binary_spec(source.spec))
        second = {path: costs.second(path, self.unit) for path in modules}
        available = self._available(costs.single(self.unit), math.fsum(second.values()))
        whole = split_all(source, modules)
        before = _measured(measure, whole, "the split of every module")
        rises = {}
        for path, ternary in modules.items():
            # two equal halves of the weight are one binary branch, and so all measured models have one specification
            single = two_branches(path, source.tensors, partial(_equal_halves, ternary=ternary))
            alone = evolve(whole, tensors={**whole.tensors, **single})
            rises[path] = _measured(measure, alone, f"one branch at {path}") - before
        taken = choose([*rises.values()], [*second.values()], available)
        chosen = frozenset(path for path, split in zip(modules, taken, strict=True) if split)
        mixed = _mixed(source, whole, modules, chosen)
        losses = {"loss_all_split": before, "loss": _measured(measure, mixed, "the split of the chosen modules")}
        return Splitting(
            checkpoint=mixed,
            changed=frozenset(modules) - chosen,
            metrics={"modules": len(chosen), **losses, **{f"loss_rise/{path}": rise for path, rise in rises.items()}},
            details={
                "room": available / SIZES[self.unit],
                "unit": self.unit,
                "without_split": {unit: costs.single(unit) / SIZES[unit] for unit in UNITS},
                **losses,
                "modules": _rows(rises, chosen, costs),
            },
        )

    def _available(self, single: float, second: float) -> float:
        """The part of the budget that is available for second branches.

        Raises:
            UserError: it is smaller than the first branches.
        """
        options = self.options
        budget = options.budget_mebibytes or options.budget_gigaflops
        if budget is None:
            fraction = _FRACTION if options.fraction is None else options.fraction
            return fraction * second * (1 + _SLACK)
        available = budget * SIZES[self.unit] * (1 + _SLACK) - single
        if available < 0:
            least, most = (total / SIZES[self.unit] for total in (single, single + second))
            raise UserError(
                f"splitter 'adaptive': budget_{self.unit} is {budget:g}; the model takes {least:.4g} without any split"
                f" and {most:.4g} with every module split"
            )
        return available


def _measured(measure: Measure, checkpoint: Checkpoint, what: str) -> float:
    loss = measure(checkpoint)
    if not math.isfinite(loss):
        raise UserError(f"splitter 'adaptive': the loss of the model after {what} is {loss}: expected a finite number")
    return loss


def _equal_halves(weight: Tensor, ternary: Twn) -> tuple[Tensor, Tensor]:
    """Two equal halves, whose binarized sum is the binarized weight."""
    half = clip_weight(weight, ternary) / 2
    return half, half


def _mixed(source: Checkpoint, whole: Checkpoint, modules: Mapping[str, Twn], chosen: frozenset[str]) -> Checkpoint:
    """The chosen modules split as in `whole`, the other ones binary in one branch."""
    tensors = {name: tensor.clone() for name, tensor in source.tensors.items()}
    for path, ternary in modules.items():
        first, second = branch_prefix(path, 0, 2), branch_prefix(path, 1, 2)
        if path in chosen:
            tensors |= {name: t for name, t in whole.tensors.items() if name.startswith((first, second))}
        else:
            tensors[f"{first}weight"] = clip_weight(tensors[f"{first}weight"], ternary)
    branches = {**source.spec.branches, **dict.fromkeys(sorted(chosen), 2)}
    spec = binary_spec(source.spec).with_branches(branches)
    return Checkpoint(architecture=source.architecture, spec=spec, tensors=tensors)


def _rows(rises: Mapping[str, float], chosen: frozenset[str], costs: Costs) -> list[dict[str, Any]]:
    """One row for each module, the most sensitive first."""
    return [
        {"module": path, "loss_rise": rise, "split": path in chosen}
        | {unit: costs.second(path, unit) / SIZES[unit] for unit in UNITS}
        for path, rise in sorted(rises.items(), key=lambda item: -item[1])
    ]


#: of matrices (2^20 bytes), or of a forward pass (10^9 operations)
Unit = Literal["mebibytes", "gigaflops"]
UNITS: tuple[Unit, ...] = ("mebibytes", "gigaflops")
SIZES: Mapping[Unit, float] = {"mebibytes": 8 * 2**20, "gigaflops": 1e9}  #: in bits, in operations


class Costs:
    """Bits and operations of a model of single branches under a specification, and of a second branch at every module.

    In bits and operations, not in larger units, because sums of (nearly) integers are exact.
    """

    def __init__(self, source: Checkpoint, spec: QuantSpec) -> None:
        """Of the matrices in `source`, each of one branch, under a specification of the same sites."""
        self._sizes, self._spec = source.architecture, spec.with_branches({})
        counts = branch_counts(source.architecture, source.spec)
        self._bits = {}
        for path, site in quantizable_modules(self._sizes).items():
            weight = source.tensors[f"{branch_prefix(path, 0, counts[path])}weight"]
            quantizer = spec.weights.get(site)
            self._bits[path] = weight.numel() * (
                FULL_PRECISION_BITS if quantizer is None else quantizer.build(weight.shape).bits
            )
        self._operations = self._count({})

    def single(self, unit: Unit) -> float:
        """Of the model of single branches."""
        return sum(self._bits.values()) if unit == "mebibytes" else self._operations

    def second(self, path: str, unit: Unit) -> float:
        """Of a second branch at a module, in addition."""
        return self._bits[path] if unit == "mebibytes" else self._count({path: 2}) - self._operations

    def _count(self, branches: Mapping[str, int]) -> float:
        spec = self._spec.with_branches(branches)
        return model_operations(self._sizes, spec, usual_tokens(self._sizes)).total


class _Load(NamedTuple):
    cost: float
    value: float
    taken: int  #: bit i is set if item i is chosen


def choose(values: Sequence[float], costs: Sequence[float], budget: float) -> tuple[bool, ...]:
    """The items of the highest total value whose costs do not exceed the budget, exactly; of equal sets the cheaper.

    maximize sum of s_i u_i over s in {0, 1}^n with sum of s_i c_i <= budget, by dynamic programming over the loads that
    no other load beats in both cost and value. There are at most as many of them as different sums of costs, which are
    few where many items cost the same, as the matrices of a BERT do. Items without a positive value are not chosen.
    Costs must not be negative; with a negative budget no item is chosen.

    >>> choose([6.0, 5.0, 5.0], [3.0, 2.0, 2.0], 4.0)
    (False, True, True)
    """
    best = [_Load(0.0, 0.0, 0)]
    for index, (value, cost) in enumerate(zip(values, costs, strict=True)):
        if value > 0:
            added = [_Load(load.cost + cost, load.value + value, load.taken | 1 << index) for load in best]
            best = _unbeaten([*best, *(load for load in added if load.cost <= budget)])
    taken = best[-1].taken
    return tuple(bool(taken >> index & 1) for index in range(len(values)))


def _unbeaten(loads: list[_Load]) -> list[_Load]:
    """Loads by rising cost, each of a higher value than all cheaper ones."""
    kept: list[_Load] = []
    for load in sorted(loads, key=lambda load: (load.cost, -load.value, load.taken)):
        if not kept or load.value > kept[-1].value:
            kept.append(load)
    return kept
