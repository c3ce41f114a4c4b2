"""Quantizers of weights and activations: the contract. Optional capabilities are in `interfaces/capabilities.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.interfaces.options import Options


@frozen
class Alphabet:
    """The integers that the levels of a quantizer take: `low`, `low + spacing`, ..., `high`.

    It determines how a level is packed: as `(level - low) / spacing`, in `bits` bits; a format that packs several
    levels together (five ternary ones in a byte) uses `size`. The value of a level is defined in `Codes` by step and
    offset.

    >>> SIGNS.size, SIGNS.bits, TERNARY.size, TERNARY.bits, Alphabet.unsigned(4)
    (2, 1, 3, 2, Alphabet(low=0, high=15, spacing=1))
    """

    low: int
    high: int
    spacing: int = 1

    def __attrs_post_init__(self) -> None:
        if self.spacing < 1 or self.high <= self.low or (self.high - self.low) % self.spacing:
            raise ValueError(f"high must be low plus a multiple of spacing, which is at least 1: {self}")

    @classmethod
    def unsigned(cls, bits: int) -> Alphabet:
        """0 to 2^bits - 1."""
        return cls(0, 2**bits - 1)

    @classmethod
    def signed(cls, bits: int) -> Alphabet:
        """-2^(bits-1) to 2^(bits-1) - 1, as in two's complement."""
        return cls(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    @classmethod
    def symmetric(cls, bits: int) -> Alphabet:
        """-n to n with n = 2^(bits-1) - 1; `bits` must be at least 2."""
        highest = 2 ** (bits - 1) - 1
        return cls(-highest, highest)

    @property
    def size(self) -> int:
        """The number of levels."""
        return (self.high - self.low) // self.spacing + 1

    @property
    def bits(self) -> int:
        """Bits that one level takes when packed alone."""
        return (self.size - 1).bit_length()

    def contains(self, levels: Tensor) -> bool:
        """Whether all levels are in the alphabet.

        >>> SIGNS.contains(torch.tensor([1, -1])), SIGNS.contains(torch.tensor([1, 0]))
        (True, False)
        """
        if not levels.numel():
            return True
        # compared as numbers of Python: -1 is 255 where a tensor of uint8 is compared with it
        lowest, highest = (end.item() for end in levels.aminmax())
        if not (self.low <= lowest and highest <= self.high):
            return False
        mask = self.spacing - 1
        # of powers of 2 the remainder is the last bits, which a CPU computes ten times as fast
        by_bits = not levels.is_floating_point() and self.spacing & mask == 0
        remainders = levels & mask if by_bits else levels % self.spacing
        return all(end.item() == self.low % self.spacing for end in remainders.aminmax())


SIGNS = Alphabet(-1, 1, spacing=2)  #: {-1, +1}
ZERO_ONE = Alphabet(0, 1)  #: {0, 1}
TERNARY = Alphabet(-1, 1)  #: {-1, 0, +1}


@frozen(kw_only=True, eq=False)
class Codes:
    """A quantized tensor as integers: `levels * step + offset`.

    Shape: levels has the shape of the tensor; step and offset broadcast to it (one per tensor or per row).
    """

    levels: Tensor  #: integers of the alphabet, in any integer dtype
    step: Tensor  #: distance between the values of neighboring integers
    offset: Tensor | None = None  #: value of level 0; None is exactly 0
    alphabet: Alphabet  #: that of the quantizer

    @property
    def bits(self) -> int:
        """Bits that one level takes when packed alone."""
        return self.alphabet.bits

    def decode(self) -> Tensor:
        """The tensor that the codes represent, by the same arithmetic as the quantizer's forward.

        >>> Codes(levels=torch.tensor([-1, 1]), step=torch.tensor(0.5), alphabet=SIGNS).decode()
        tensor([-0.5000,  0.5000])
        """
        values = self.levels.to(self.step.dtype) * self.step
        return values if self.offset is None else values + self.offset


class Quantizer(nn.Module, ABC):
    """Differentiable fake quantization that also gives its integers.

    A subclass declares `alphabet` (in the class or in `__init__`) and implements `forward` and `encode`.
    `encode(x).decode()` equals `forward(x)` bit for bit in evaluation mode. State that the first batch sets (LSQ's
    step) is a buffer or parameter, never a Python attribute. Neither method modifies x.
    """

    alphabet: Alphabet  #: the integers that `encode` gives

    @property
    def bits(self) -> int:
        """Bits that one level takes when packed alone."""
        return self.alphabet.bits

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Fake-quantized x, same shape and dtype."""

    @abstractmethod
    def encode(self, x: Tensor) -> Codes:
        """The integers and scales of `forward(x)`."""


@frozen(kw_only=True)
class QuantizerOptions(Options):
    """The options of a quantizer."""

    role: ClassVar[str] = "quantizer"
    #: the tensors that the quantizer is for; a scheme that puts it at another site is refused when a recipe is planned
    applies_to: ClassVar[Literal["weights", "activations", "both"]] = "both"

    @abstractmethod
    def build(self, shape: torch.Size) -> Quantizer:
        """A quantizer for one site.

        `shape` is that of the weight, (O, I) or (V, H); for an activation the shape of its last dimension, (I,);
        `torch.Size([])` where the last dimension varies (attention probabilities).

        Raises:
            UserError: these options do not work for that shape.
        """
