from __future__ import annotations

import pytest
import torch

from bebertlab.bench.scheme import W1A8
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import Steps, equal_setup, labels_phase, mixed_setup, phases, train_options
from bebertlab.errors import UserError
from bebertlab.training.loop import fit


def test_steps_are_those_of_fit(setting: Setting) -> None:
    by_steps, whole = W1A8.build(setting), W1A8.build(setting)
    setup = equal_setup(setting, steps=3)
    with Steps(by_steps, labels_phase(), setup) as training:
        assert training.take(1) > 0.0
        training.take(2)
    fit(whole, labels_phase(), equal_setup(setting, steps=3, options=train_options(setting, epochs=1)))
    for ours, theirs in zip(by_steps.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_more_steps_than_there_are_are_no_measurement(setting: Setting) -> None:
    with Steps(W1A8.build(setting), labels_phase(), equal_setup(setting, steps=1)) as training:
        training.take(1)
        with pytest.raises(StopIteration):
            training.take(1)


def test_equal_sentences_have_the_length_that_is_asked_for(setting: Setting) -> None:
    assert set(equal_setup(setting, steps=2, tokens=7).train.tokens.lengths.tolist()) == {7}


def test_mixed_sentences_come_in_as_many_batches_as_asked_for(setting: Setting) -> None:
    setup = mixed_setup(setting, steps=5, warm_up=2)
    assert len(setup.sampler.epoch("labels", 0, setting.batch_size)) == 7


def test_phases_of_a_distillation_have_its_losses(setting: Setting) -> None:
    assert [phase.name for phase in phases(setting, "two-stage")] == ["inner", "prediction"]
    assert phases(setting, "none") == (labels_phase(),)


def test_an_option_that_is_not_there_is_told(setting: Setting) -> None:
    with pytest.raises(UserError, match="no_such_option"):
        train_options(setting, no_such_option=True)
