"""Quantizers of weights and activations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from attrs import field, frozen
from torch import Tensor, nn

from bebertlab.interfaces.options import Options


@frozen(kw_only=True, eq=False)
class Codes:
    """A quantized tensor as integers: `levels * step + offset`.

    Shape: levels has the shape of the tensor; step and offset broadcast to it (one per tensor or per row).
    """

    levels: Tensor  #: whole numbers, any integer dtype
    step: Tensor  #: distance of neighbouring levels
    offset: Tensor | None = None  #: value of level 0; None is exactly 0
    bits: int = field()  #: bits that one level takes when packed

    def decode(self) -> Tensor:
        """The tensor that the codes stand for, by the same arithmetic as the quantizer's forward.

        >>> Codes(levels=torch.tensor([-1, 1]), step=torch.tensor(0.5), bits=1).decode()
        tensor([-0.5000,  0.5000])
        """
        values = self.levels.to(self.step.dtype) * self.step
        return values if self.offset is None else values + self.offset


@frozen(kw_only=True, eq=False)
class ParameterGroup:
    """Parameters of a quantizer that want a learning rate and decay of their own (steps, clips, shifts)."""

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float | None = None  #: None is the stage's `quantizer_learning_rate`
    weight_decay: float | None = None  #: None is the stage's `quantizer_weight_decay`
    no_decay_group: bool = False  #: learns as the biases of the model do: the rate of the weights, no decay


class Quantizer(nn.Module, ABC):
    """Differentiable fake quantization that can say its integers.

    The law: `encode(x).decode()` equals `forward(x)` bit for bit in evaluation mode.
    State that the first batch sets (LSQ's step) is a buffer or parameter, never a Python attribute.
    """

    bits: int
    #: True: some rows of a matrix are quantized without the others, by `forward_rows`, so that an embedding gathers
    #: the rows of a batch first and quantizes only those. False is always right.
    row_wise: bool = False
    #: own tensors that mean the same under other options of the same kind (BiT's shift, whatever the bits), so that
    #: a model keeps them where a scheme only changes those options; the others start anew
    transferable_state: frozenset[str] = frozenset()

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Fake-quantized x, same shape and dtype."""

    @abstractmethod
    def encode(self, x: Tensor) -> Codes:
        """The integers and scales of `forward(x)`."""

    def forward_rows(self, rows: Tensor, table: Tensor) -> Tensor:
        """`forward(table)` of some rows of the table, (N, H) -> (N, H); the gradient goes to `rows`.

        Used where `row_wise`. Right as it is where a row is quantized the same whatever the others are; a quantizer
        that needs numbers of the whole table (BiT's mean) finds them here, without a tensor of the table's size.
        """
        quantized: Tensor = self(rows)
        return quantized

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """`forward(x)` as (values, scale), their product bit for bit; (forward(x), None) is always right.

        Attention without softmax compares sums of products with 0. Sums of whole numbers are exact, those of scaled
        ones are not: a quantizer with one scale for the tensor hands it over apart. x gets the gradient of `forward`.
        """
        return self(x), None

    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        """`forward(x)` of this quantizer and of those of the other branches that get the same input.

        Results that are the same bit for bit may be one tensor, with gradients where that gives all parameters and x
        the same ones: the branches then take one product for all of them. Right as it is.
        """
        return [self(x), *(other(x) for other in others)]

    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        """`encode(x)` of this quantizer and of those of the other branches that get the same input.

        Codes that are the same may be one object: a prediction then turns them into bytes once. Right as it is.
        """
        return [self.encode(x), *(other.encode(x) for other in others)]

    def progress(self, fraction: float) -> None:
        """The training loop tells before each step which part of the training is done: 0, and then up to below 1.

        For a gradient that changes as training goes on (IR-Net's). Neither values nor what is saved depend on it.
        """

    def parameter_groups(self) -> Iterable[ParameterGroup]:
        """Groups for this quantizer's own parameters: all in one, unless it says otherwise; empty where it has none."""
        own = tuple(self.parameters())
        return (ParameterGroup(parameters=own),) if own else ()


@frozen(kw_only=True)
class QuantizerOptions(Options):
    """What YAML says of a quantizer."""

    role: ClassVar[str] = "quantizer"

    @abstractmethod
    def build(self, shape: torch.Size) -> Quantizer:
        """A quantizer for one site.

        `shape` is that of the weight, (O, I) or (V, H); for an activation the shape of its last dimension, (I,);
        `torch.Size([])` where the last dimension varies (attention probabilities).
        """
