from __future__ import annotations

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.hub.inputs import as_batch
from bebertlab.testing.tiny import tiny_model, tiny_task

SIZES = evolve(tiny_model(tiny_task()).architecture, vocabulary=9, positions=4, segments=2)
CPU = torch.device("cpu")
TOKENS = torch.tensor([[5, 6, 7], [5, 0, 0]])


def test_tensors_become_a_batch() -> None:
    mask, segments = torch.tensor([[1, 1, 1], [1, 0, 0]]), torch.tensor([[0, 1, 1], [0, 0, 0]])
    batch = as_batch(TOKENS.to(torch.int32), mask.float(), segments, SIZES, CPU)
    assert torch.equal(batch.tokens, TOKENS)
    assert torch.equal(batch.mask, mask.bool())
    assert torch.equal(batch.segments, segments)
    assert batch.positions.tolist() == [0, 1]


def test_without_mask_and_segments_all_tokens_count_and_are_of_the_first_text() -> None:
    batch = as_batch(TOKENS, None, None, SIZES, CPU)
    assert batch.mask.all()
    assert not batch.segments.any()


@pytest.mark.parametrize(
    ("tokens", "mask", "segments", "message"),
    [
        (None, None, None, "input_ids is missing"),
        (torch.tensor([1, 2]), None, None, r"input_ids has shape \(2,\); expected \(texts, tokens\)"),
        (torch.zeros(0, 3, dtype=torch.int64), None, None, r"input_ids has shape \(0, 3\)"),
        (torch.ones(1, 2), None, None, "input_ids is of type torch.float32; expected integers"),
        (torch.ones(1, 5, dtype=torch.int64), None, None, "has 5 tokens, the model takes 4; .*truncation=True"),
        (torch.tensor([[9]]), None, None, "input_ids has 9; the model has embeddings of 0 to 8"),
        (torch.tensor([[-1, 2]]), None, None, "input_ids has -1; "),
        (TOKENS, TOKENS[:1], None, r"attention_mask has shape \(1, 3\); expected \(2, 3\), that of input_ids"),
        (TOKENS, None, TOKENS, "token_type_ids has 7; the model has embeddings of 0 to 1"),
        (TOKENS, TOKENS, None, "attention_mask has values other than 0 and 1"),
        (TOKENS, torch.tensor([[0, 1, 1], [1, 1, 1]]), None, "padded at their end"),
        (TOKENS, torch.tensor([[1, 0, 1], [1, 1, 1]]), None, "padded at their end"),
        (TOKENS, torch.zeros_like(TOKENS), None, "padded at their end"),
        (TOKENS, torch.full((2, 3), -10000.0), None, "other than 0 and 1"),
    ],
)
def test_other_tensors_are_refused(
    tokens: Tensor | None, mask: Tensor | None, segments: Tensor | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        as_batch(tokens, mask, segments, SIZES, CPU)
