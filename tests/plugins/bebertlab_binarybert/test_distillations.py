from __future__ import annotations

import pytest

from bebertlab_binarybert import (
    AttentionDistanceOptions,
    HiddenDistanceOptions,
    JointDistillation,
    Prediction,
    PredictionDistillation,
    TwoStageDistillation,
)


def test_prediction_is_one_phase_at_the_learning_rate_of_the_stage() -> None:
    (phase,) = PredictionDistillation(temperature=2.0, reduction="classes").phases()
    assert phase.losses == (Prediction(temperature=2.0, reduction="classes"),)
    assert phase.learning_rate_factor == 1.0


def test_two_stage_trains_inner_layers_first_and_at_a_higher_rate() -> None:
    inner, prediction = TwoStageDistillation().phases()
    assert inner.losses == (HiddenDistanceOptions(), AttentionDistanceOptions())
    assert inner.learning_rate_factor == 2.5
    assert prediction.losses == (Prediction(),)
    assert prediction.learning_rate_factor == 1.0
    assert inner.name != prediction.name


def test_joint_trains_all_losses_in_one_phase() -> None:
    (phase,) = JointDistillation(include_padding=False).phases()
    assert phase.losses == (
        HiddenDistanceOptions(include_padding=False),
        AttentionDistanceOptions(include_padding=False),
        Prediction(),
    )
    assert phase.learning_rate_factor == 1.0


def test_the_inner_layers_are_configurable() -> None:
    inner, _ = TwoStageDistillation(layers="last").phases()
    (joint,) = JointDistillation(layers="dynabert").phases()
    assert inner.losses == (HiddenDistanceOptions(layers="last"), AttentionDistanceOptions(layers="last"))
    assert joint.losses[:2] == (HiddenDistanceOptions(layers="dynabert"), AttentionDistanceOptions(layers="dynabert"))


def test_a_factor_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="inner_rate_factor"):
        TwoStageDistillation(inner_rate_factor=0.0)
