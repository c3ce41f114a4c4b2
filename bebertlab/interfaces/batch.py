"""Inputs and outputs of a model."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import frozen
from torch import Tensor


class Tap(StrEnum):
    """Intermediate tensors that a loss can request from a model; others are not kept."""

    HIDDEN = "hidden"  #: L+1 tensors (B, T, H): the embedding output, then each layer's
    SCORES = "scores"  #: L tensors (B, A, T, T): before softmax, scaled, -10000 on masked keys
    PROBABILITIES = "probabilities"  #: L tensors (B, A, T, T): after softmax, before dropout and quantization
    QUERY_SIMILARITY = "query_similarity"  #: L tensors (B, A, T, T): Q Q^T / sqrt(D), real-valued Q, no mask
    KEY_SIMILARITY = "key_similarity"  #: likewise for K
    VALUE_SIMILARITY = "value_similarity"  #: likewise for V


@frozen(kw_only=True, eq=False)
class Batch:
    """Examples padded to the longest one of the batch."""

    positions: Tensor  #: (B,) int64, index of each example in its split
    tokens: Tensor  #: (B, T) int64
    segments: Tensor  #: (B, T) int64, 0 or 1
    mask: Tensor  #: (B, T) bool, True on real tokens
    labels: Tensor  #: (B,) int64 classes, or float32 for regression
    weights: Tensor | None = None  #: (B,) loss weights with mean 1 over the split; None: all 1

    def to(self, device: str) -> Batch:
        """The same batch on another device."""
        return Batch(
            positions=self.positions.to(device),
            tokens=self.tokens.to(device),
            segments=self.segments.to(device),
            mask=self.mask.to(device),
            labels=self.labels.to(device),
            weights=None if self.weights is None else self.weights.to(device),
        )


@frozen(kw_only=True, eq=False)
class Outputs:
    """The outputs of a model."""

    logits: Tensor  #: (B, C)
    taps: Mapping[Tap, tuple[Tensor, ...]]  #: exactly those requested
