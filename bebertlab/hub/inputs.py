"""Tensors that a tokenizer of transformers makes, as a batch of the packed model."""

from __future__ import annotations

import torch
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch


def as_batch(
    tokens: Tensor | None, mask: Tensor | None, segments: Tensor | None, sizes: Architecture, device: torch.device
) -> Batch:
    """The batch of `input_ids`, `attention_mask` and `token_type_ids`, each (B, T), on a device.

    Without a mask all tokens are real ones, without segments all are 0, as in transformers.

    Raises:
        UserError: a tensor has another shape or type, or values that the model has no embedding for; an input is
            longer than the model takes, or is padded elsewhere than at its end.
    """
    if tokens is None:
        raise UserError("input_ids is missing; packed models take no other input")
    _check_shape("input_ids", tokens, None)
    if tokens.shape[1] > sizes.positions:
        raise UserError(
            f"an input has {tokens.shape[1]} tokens, the model takes {sizes.positions}; let the tokenizer truncate it"
            " (truncation=True)"
        )
    mask = torch.ones_like(tokens) if mask is None else mask
    segments = torch.zeros_like(tokens) if segments is None else segments
    for name, tensor in (("attention_mask", mask), ("token_type_ids", segments)):
        _check_shape(name, tensor, tokens)
    _check_range("input_ids", tokens, sizes.vocabulary)
    _check_range("token_type_ids", segments, sizes.segments)
    _check_mask(mask)
    count = len(tokens)
    return Batch(
        positions=torch.arange(count, device=device),
        tokens=tokens.to(device, torch.int64),
        segments=segments.to(device, torch.int64),
        mask=mask.to(device, torch.bool),
        labels=torch.zeros(count, dtype=torch.int64, device=device),
    )


def _check_shape(name: str, tensor: Tensor, tokens: Tensor | None) -> None:
    shape = tuple(tensor.shape)
    if len(shape) != len(("B", "T")) or 0 in shape or (tokens is not None and tensor.shape != tokens.shape):
        expected = "(texts, tokens), none of them 0" if tokens is None else f"{tuple(tokens.shape)}, that of input_ids"
        raise UserError(f"{name} has shape {shape}; expected {expected}")
    if tensor.is_floating_point() and name != "attention_mask":
        raise UserError(f"{name} is of type {tensor.dtype}; expected integers")


def _check_range(name: str, tensor: Tensor, rows: int) -> None:
    lowest, highest = (int(value) for value in tensor.aminmax())
    if lowest < 0 or highest >= rows:
        raise UserError(f"{name} has {lowest if lowest < 0 else highest}; the model has embeddings of 0 to {rows - 1}")


def _check_mask(mask: Tensor) -> None:
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise UserError("attention_mask has values other than 0 and 1")
    if bool((mask[:, 0] == 0).any()) or bool((mask[:, 1:] > mask[:, :-1]).any()):
        raise UserError("attention_mask has 0 before 1 or no 1; packed models take inputs that are padded at their end")
