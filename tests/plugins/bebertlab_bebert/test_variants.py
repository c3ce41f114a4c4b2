from __future__ import annotations

import pytest

from bebertlab.interfaces.distillation import DistillationOptions
from bebertlab_bebert.variants import BebertA, BebertB, BebertC


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (BebertA(), [(("labels",), 6, 5e-5)]),
        (BebertB(), [(("prediction",), 1, 5e-5)]),
        (BebertC(), [(("hidden", "attention"), 1, 1.25e-4), (("prediction",), 1, 5e-5)]),
    ],
    ids=str,
)
def test_phases_equal_those_of_the_scripts(
    variant: DistillationOptions, expected: list[tuple[tuple[str, ...], int, float]]
) -> None:
    phases = variant.phases()
    actual = [(p.named_losses, p.epochs, (p.learning_rate or 0) * p.learning_rate_factor) for p in phases]
    assert actual == expected
    assert {phase.batch_size for phase in phases} == {32}


def test_the_settings_can_be_changed() -> None:
    first, second = BebertC(epochs=2, learning_rate=1e-3, batch_size=8).phases()
    assert (first.epochs, second.epochs, second.learning_rate, first.batch_size) == (2, 2, 1e-3, 8)
