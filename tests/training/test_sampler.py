from __future__ import annotations

import numpy as np
import pytest
import torch

from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.training.sampler import EpochSampler

LENGTHS = np.random.default_rng(0).integers(3, 20, 200)


def sampler(
    sampling: Sampling | None, weights: list[float] | None = None, seed: int = 0, draws: int | None = None
) -> EpochSampler:
    given = np.full(200, 1 / 200) if weights is None else np.array(weights) / np.sum(weights)
    assignment = None if sampling is None else SampleWeights(sampling=sampling, weights=given, draws=draws)
    return EpochSampler(seed=seed, lengths=LENGTHS, round=assignment)


def drawn(source: EpochSampler, phase: str = "p", number: int = 0) -> list[int]:
    return sorted(source.epoch(phase, number, 16).order.tolist())


@pytest.mark.parametrize("sampling", [None, Sampling.ALL, Sampling.REWEIGHT])
def test_every_example_is_drawn_once(sampling: Sampling | None) -> None:
    assert drawn(sampler(sampling)) == list(range(200))


def test_epochs_and_phases_have_different_orders() -> None:
    source = sampler(None)
    orders = [source.epoch(phase, number, 16).order.tolist() for phase in ("a", "b") for number in range(3)]
    assert len({tuple(order) for order in orders}) == 6
    assert source.epoch("b", 1, 16).order.tolist() == orders[4]


def test_a_bootstrap_is_one_draw_for_all_epochs_and_phases() -> None:
    source = sampler(Sampling.BOOTSTRAP)
    first = drawn(source)
    assert len(first) == 200
    assert 100 < len(set(first)) < 150  # about 1 - 1/e
    assert drawn(source, "q", 3) == first
    assert drawn(sampler(Sampling.BOOTSTRAP, seed=1)) != first


def test_resampling_draws_again_in_every_epoch() -> None:
    source = sampler(Sampling.RESAMPLE)
    assert drawn(source, number=0) != drawn(source, number=1)
    assert drawn(source, number=1) == drawn(sampler(Sampling.RESAMPLE), number=1)


@pytest.mark.parametrize("sampling", [Sampling.BOOTSTRAP, Sampling.RESAMPLE])
def test_draws_follow_the_weights(sampling: Sampling) -> None:
    counts = np.bincount(drawn(sampler(sampling, [3.0] * 100 + [1.0] * 50 + [0.0] * 50)), minlength=200)
    assert counts[150:].sum() == 0
    assert counts[:100].sum() == pytest.approx(200 * 6 / 7, abs=20)


def test_a_subset_is_drawn_once_per_epoch_without_other_examples() -> None:
    source = sampler(Sampling.SUBSET, [0.0, 1.0] * 100)
    assert source.size == 100
    assert drawn(source) == drawn(source, "q", 3) == list(range(1, 200, 2))
    assert source.epoch("p", 0, 16).order.tolist() != source.epoch("p", 1, 16).order.tolist()
    assert source.subset is not None
    assert source.subset.tolist() == list(range(1, 200, 2))


@pytest.mark.parametrize("sampling", [Sampling.BOOTSTRAP, Sampling.RESAMPLE])
def test_an_epoch_may_have_fewer_draws_than_examples(sampling: Sampling) -> None:
    source = sampler(sampling, draws=50)
    assert source.size == len(drawn(source)) == 50
    assert sampler(sampling).size == 200
    assert (source.subset is None) == (sampling is Sampling.RESAMPLE)  # of which any may occur


def test_without_exclusions_there_is_no_subset() -> None:
    for sampling in (None, *Sampling):
        assert sampler(sampling).subset is None


def test_only_reweighting_weighs_losses() -> None:
    weights = sampler(Sampling.REWEIGHT, [2.0] * 100 + [1.0] * 100).loss_weights
    assert weights is not None
    torch.testing.assert_close(weights, torch.tensor([4 / 3] * 100 + [2 / 3] * 100))
    for other in (None, Sampling.ALL, Sampling.BOOTSTRAP, Sampling.RESAMPLE, Sampling.SUBSET):
        assert sampler(other).loss_weights is None
