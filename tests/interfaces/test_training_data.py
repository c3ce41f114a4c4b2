from __future__ import annotations

import numpy as np
import pytest

from bebertlab.interfaces.training_data import TrainingData


def data(examples: int = 2000, seed: int = 0) -> TrainingData:
    ids = tuple(f"train-{index}" for index in range(examples))
    return TrainingData(ids=ids, labels=np.arange(examples) % 2, seed=seed)


def test_the_random_number_of_an_example_does_not_depend_on_its_position() -> None:
    whole = data()
    order = np.random.default_rng(0).permutation(len(whole))[:500]
    some = TrainingData(ids=tuple(whole.ids[index] for index in order), labels=whole.labels[order], seed=0)
    assert (some.uniform("share", 3) == whole.uniform("share", 3)[order]).all()


def test_numbers_are_uniform_and_independent_between_streams_and_seeds() -> None:
    draws = [data().uniform(*stream) for stream in (("a",), ("a", 0), ("a", 1), ("a", "1"))]
    draws += [data(seed=seed).uniform("a") for seed in (1, 2**63, -1)]
    for draw in draws:
        counts = np.histogram(draw, bins=20, range=(0, 1))[0]
        assert counts.sum() == 2000  # none is 1
        assert counts.min() > 60
        assert counts.max() < 140
    related = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(related).max() < 0.1


def test_draws_are_equal_on_every_machine() -> None:
    """Stored members depend on it."""
    assert data(3, seed=7).uniform("bagging", 0).tolist() == [
        0.5389516619810466,
        0.10517090303501331,
        0.6077441054553075,
    ]


def test_labels_are_copied_from_the_task_and_read_only() -> None:
    labels = np.arange(3)
    given = TrainingData(ids=("a", "b", "c"), labels=labels, seed=0)
    assert np.shares_memory(given.labels, labels)
    with pytest.raises(ValueError, match="read-only"):
        given.labels[0] = 5
    assert labels.flags.writeable
    assert len(given) == 3


def test_training_data_cannot_be_used_as_an_array_of_labels() -> None:
    with pytest.raises(TypeError, match=r"its labels are `data.labels`"):
        _ = np.arange(3) != data(3)
    with pytest.raises(TypeError):
        np.full(data(3), 1.0)  # type: ignore[call-overload]


def test_every_example_has_an_id_and_a_label() -> None:
    with pytest.raises(ValueError, match="2 ids and 3 labels"):
        TrainingData(ids=("a", "b"), labels=np.arange(3), seed=0)
