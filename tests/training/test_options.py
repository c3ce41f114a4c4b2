from __future__ import annotations

import pytest

from bebertlab.training.options import TrainOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0.0),
        ("epochs", 0),
        ("batch_size", 0),
        ("warmup", 1.0),
        ("warmup", -0.1),
        ("weight_decay", -1.0),
        ("gradient_norm", 0.0),
        ("quantizer_learning_rate", 0.0),
        ("quantizer_weight_decay", -1.0),
        ("evaluations", 0),
        ("optimizer", "sgd"),
        ("schedule", "cosine"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=name):
        TrainOptions(**{name: value})  # type: ignore[arg-type] # one field at a time


def test_clipping_can_be_switched_off() -> None:
    assert TrainOptions(gradient_norm=None).gradient_norm is None
