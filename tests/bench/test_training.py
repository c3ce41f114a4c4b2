from __future__ import annotations

import pytest
import torch

from bebertlab.bench.models import W1A8, BenchConfig
from bebertlab.bench.training import (
    distillation_phases,
    equal_length_setup,
    labels_phase,
    sst2_length_setup,
    train_labels,
    train_options,
)
from bebertlab.errors import UserError
from bebertlab.training.loop import fit


def test_stepwise_training_equals_fit(config: BenchConfig) -> None:
    stepwise, fitted = W1A8.build(config), W1A8.build(config)
    with train_labels(stepwise, equal_length_setup(config, steps=3)) as training:
        assert training.train(1) > 0.0
        training.train(2)
    fit(fitted, labels_phase(), equal_length_setup(config, steps=3, options=train_options(config, epochs=1)))
    for actual, expected in zip(stepwise.parameters(), fitted.parameters(), strict=True):
        assert torch.equal(actual, expected)


def test_training_past_the_last_step_raises(config: BenchConfig) -> None:
    with train_labels(W1A8.build(config), equal_length_setup(config, steps=1)) as training:
        training.train(1)
        with pytest.raises(StopIteration):
            training.train(1)


def test_equal_length_sentences_have_the_given_length(config: BenchConfig) -> None:
    assert set(equal_length_setup(config, steps=2, tokens=7).train.tokens.lengths.tolist()) == {7}


def test_sst2_length_setup_has_batches_for_warm_up_and_steps(config: BenchConfig) -> None:
    setup = sst2_length_setup(config, steps=5, warm_up=2)
    assert len(setup.sampler.epoch("labels", 0, config.batch_size)) == 7


def test_phases_of_a_distillation(config: BenchConfig) -> None:
    assert [phase.name for phase in distillation_phases(config, "two-stage")] == ["inner", "prediction"]


def test_unknown_training_option_is_an_error(config: BenchConfig) -> None:
    with pytest.raises(UserError, match="no_such_option"):
        train_options(config, no_such_option=True)
