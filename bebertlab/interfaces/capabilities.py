"""Optional capabilities of a quantizer, as protocols of which it may implement any.

To implement one, give the quantizer the attribute or method; inheriting from the protocol is optional. The model
detects a capability by `isinstance` when it is built. `bebertlab.testing.check_quantizer` checks the rule of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen
from torch import Tensor, nn

from bebertlab.interfaces.quantizer import Codes, Quantizer


@frozen(kw_only=True, eq=False)
class ParameterGroup:
    """Parameters of a quantizer (steps, clips, shifts) that share a learning rate and weight decay."""

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float | None = None  #: None is the stage's `quantizer_learning_rate`
    weight_decay: float | None = None  #: None is the stage's `quantizer_weight_decay`
    no_decay_group: bool = False  #: learns like the biases of the model: the learning rate of the weights, no decay


@frozen(kw_only=True, eq=False)
class Threshold:
    """Two levels that a comparison decides: the high one where `x + shift >= border`, or `>`, else the low one.

    The sum is rounded once, to float32; zero of either sign is at 0. Levels `round(clamp((x + shift) / step, 0, 1))`
    have the border `step / 2`, which is exact in float32 and has the low level.
    """

    step: Tensor  #: (), of the levels in `encode`, whatever x is; they have no offset
    shift: Tensor | None = None  #: () or (I,), one for each channel; None is 0
    border: Tensor | None = None  #: (), float32; None is 0
    inclusive: bool = True  #: a sum at the border has the high level


@frozen(kw_only=True)
class LevelGrid:
    """Evenly spaced levels of a tensor, from which a kernel computes the codes of every number.

    level = min(max(round((min(max(x + shift, clip_low), clip_high) - base) / divisor * factor), low), high)

    in float32, every operation rounded, ties to the even level; low and high are those of the alphabet. All numbers
    are rounded to float32.
    """

    step: float  #: distance between the values of neighboring levels
    offset: float | None = None  #: value of level 0; None is exactly 0
    clip_low: float = -math.inf
    clip_high: float = math.inf
    base: float = 0.0
    divisor: float = 1.0
    factor: float = 1.0


@runtime_checkable
class SupportsRowWise(Protocol):
    """Quantizes rows of a matrix separately, so that an embedding quantizes only the rows of the batch.

    Rule: where `row_wise` is True, `forward(table)[i]` equals `forward(table[i])`, or `forward_rows(table[i], table)`
    if the quantizer has that method.
    """

    row_wise: bool  #: may depend on the options


@runtime_checkable
class SupportsTableRows(Protocol):
    """Quantizes rows of a matrix with statistics of the whole matrix (BiT's mean); used where `row_wise` is True."""

    def forward_rows(self, rows: Tensor, table: Tensor) -> Tensor:
        """Rows (N, H) of a table (V, H), quantized as in `forward(table)`; the gradient goes to `rows`."""


@runtime_checkable
class SupportsUnscaled(Protocol):
    """Separates values and scale, for attention without softmax.

    That compares sums of products with 0: sums of integers are exact, those of scaled ones are not.
    """

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """`forward(x)` as (values, scale), whose product it is bit for bit; x gets the gradient of `forward`.

        The scale is one number; None is 1.
        """


@runtime_checkable
class SupportsBranches(Protocol):
    """Quantizes the input of a module with several branches in one call.

    Rule: the results equal `forward(x)` of every branch, and parameters and x get the same gradients. Results that are
    equal bit for bit may be one tensor: the branches then share one product.
    """

    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        """`forward(x)` of this quantizer and of those of the other branches."""


@runtime_checkable
class SupportsBranchCodes(Protocol):
    """Encodes the input of a module with several branches in one call.

    Rule: the results equal `encode(x)` of every branch. Codes that are equal may be one object: they are then
    converted for integer products once.
    """

    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        """`encode(x)` of this quantizer and of those of the other branches."""


@runtime_checkable
class SupportsThreshold(Protocol):
    """Decides between the two levels of its alphabet by a comparison, so that a kernel can do it without the quantizer.

    Rule: in evaluation mode the levels of `encode(x)`, x in float32, are those that the comparison gives, and have the
    step of the threshold and no offset.
    """

    def binary_threshold(self) -> Threshold | None:
        """The comparison in the state that the quantizer is in; None where there is none (other options, no scale)."""


@runtime_checkable
class SupportsGrid(Protocol):
    """Has evenly spaced levels that depend on a tensor by its extremes alone, so that a kernel can compute them.

    Rule: in evaluation mode `encode(x)`, x in float32 and finite, gives the levels, the step and the offset of
    `level_grid`. The grid is not NaN, and its step and divisor are positive.
    """

    grid_shift: Tensor | None  #: (I,), is added to x before anything else; None is 0

    def level_grid(self, smallest: float, largest: float) -> LevelGrid | None:
        """The levels of a tensor whose smallest and largest number, after the shift, are given.

        None where there is no such rule (other options, a step that is not set).
        """


@runtime_checkable
class SupportsProgress(Protocol):
    """Follows the progress of the training, for a gradient that changes during training (IR-Net's).

    Rule: neither the values of `forward` nor the state dict depend on it.
    """

    def progress(self, fraction: float) -> None:
        """Called before each training step with the completed fraction of the training, in [0, 1)."""


@runtime_checkable
class SupportsParameterGroups(Protocol):
    """Sets the learning rate and weight decay of its parameters; without it all are in one `ParameterGroup`.

    Rule: every parameter of the quantizer is in exactly one group.
    """

    def parameter_groups(self) -> Iterable[ParameterGroup]:
        """The groups of the quantizer's parameters."""


@runtime_checkable
class SupportsStateTransfer(Protocol):
    """Has tensors that keep their meaning under other options of the same kind (BiT's shift at any number of bits).

    A model keeps them where a scheme only changes these options; the others are initialized again.
    Rule: they are names of the state dict; names without a tensor under these options are allowed.
    """

    transferable_state: frozenset[str]  #: names in the state dict


#: every capability, by the attribute or method that it is recognized by
CAPABILITIES: dict[str, type] = {
    "row_wise": SupportsRowWise,
    "forward_rows": SupportsTableRows,
    "forward_unscaled": SupportsUnscaled,
    "forward_branches": SupportsBranches,
    "encode_branches": SupportsBranchCodes,
    "binary_threshold": SupportsThreshold,
    "grid_shift": SupportsGrid,
    "level_grid": SupportsGrid,
    "progress": SupportsProgress,
    "parameter_groups": SupportsParameterGroups,
    "transferable_state": SupportsStateTransfer,
}


def parameter_groups(quantizer: Quantizer) -> list[ParameterGroup]:
    """The groups of a quantizer's parameters: those that it declares, or one with all of them."""
    if isinstance(quantizer, SupportsParameterGroups):
        return [*quantizer.parameter_groups()]
    parameters = tuple(quantizer.parameters())
    return [ParameterGroup(parameters=parameters)] if parameters else []


def transferable_state(quantizer: Quantizer) -> frozenset[str]:
    """Names of the tensors that a quantizer keeps under other options of its kind."""
    return quantizer.transferable_state if isinstance(quantizer, SupportsStateTransfer) else frozenset()


def is_row_wise(quantizer: Quantizer) -> bool:
    """Whether a quantizer quantizes rows separately."""
    return isinstance(quantizer, SupportsRowWise) and quantizer.row_wise
