from __future__ import annotations

import pytest
import torch

from bebertlab.errors import EXIT_ENVIRONMENT, SetupError
from bebertlab.interfaces.batch import Batch
from bebertlab.training.micro_batches import MicroBatches, merged_loss
from bebertlab.training.objective import LossValue


def batch(size: int, *, weights: bool = False) -> Batch:
    rows = torch.arange(size)
    return Batch(
        positions=rows,
        tokens=rows.repeat(3, 1).T,
        segments=torch.zeros(size, 3, dtype=torch.int64),
        mask=torch.ones(size, 3, dtype=torch.bool),
        labels=rows % 2,
        weights=rows.float() if weights else None,
    )


@pytest.mark.parametrize("weights", [False, True])
def test_parts_have_all_rows_in_order(weights: bool) -> None:
    whole = batch(7, weights=weights)
    parts = MicroBatches(3, "student", print).split(whole)
    assert [len(part.positions) for part in parts] == [3, 3, 1]
    for name in ("positions", "tokens", "segments", "mask", "labels", *(["weights"] if weights else [])):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert weights or parts[0].weights is None


@pytest.mark.parametrize("size", [None, 7, 8])
def test_a_batch_that_fits_is_not_copied(size: int | None) -> None:
    whole = batch(7)
    assert MicroBatches(size, "student", print).split(whole) == [whole]


def test_parts_are_halved_with_one_warning_until_they_have_one_example() -> None:
    warnings: list[str] = []
    parts = MicroBatches(None, "student", warnings.append)
    sizes = []
    for _ in range(3):
        parts.halve(batch(6))
        sizes.append(parts.size)
    assert sizes == [3, 2, 1]
    assert len(warnings) == 1
    assert "out of memory" in warnings[0]
    with pytest.raises(SetupError, match=r"^student: out of memory with a single example") as caught:
        parts.halve(batch(6))
    assert caught.value.exit_code == EXIT_ENVIRONMENT


def test_a_small_last_batch_is_halved_by_its_size() -> None:
    parts = MicroBatches(32, "student", lambda text: None)
    parts.halve(batch(6))
    assert parts.size == 3


def test_losses_are_weighted_by_examples() -> None:
    values = [
        LossValue(total=torch.tensor(total), names=("a", "b"), terms=(torch.tensor([total, 1.0]),))
        for total in (4.0, 8.0)
    ]
    merged = merged_loss(values, [0.75, 0.25])
    assert merged.total == 5.0
    assert merged.names == ("a", "b")
    assert merged.terms[0].tolist() == [5.0, 1.0]
