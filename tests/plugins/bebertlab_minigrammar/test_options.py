from __future__ import annotations

import numpy as np
import pytest

from bebertlab.api import SELECT, TRAIN, VALIDATION
from bebertlab.testing import check_task
from bebertlab_minigrammar import Minigrammar
from bebertlab_minigrammar.options import GrammarName

_DIGESTS: dict[GrammarName, str] = {
    "acceptability": "b2f2bb8e7b2fe7fc",
    "sentiment": "33499d2417c3f723",
    "entailment": "837f2a1da8c905df",
    "similarity": "f347271083553c2f",
}


def _small(grammar: GrammarName = "acceptability", **options: float) -> Minigrammar:
    return Minigrammar(grammar=grammar, size=200, select_size=50, validation_size=80, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("grammar", _DIGESTS)
def test_the_text_is_the_same_on_every_machine(grammar: GrammarName) -> None:
    # the hash seed of this process is a random one: nothing depends on it either
    assert _small(grammar).load().digest[:16] == _DIGESTS[grammar]


@pytest.mark.parametrize("grammar", _DIGESTS)
def test_no_text_occurs_in_two_splits(grammar: GrammarName) -> None:
    task = _small(grammar).load()
    assert {name: len(split) for name, split in task.splits.items()} == {TRAIN: 200, SELECT: 50, VALIDATION: 80}
    examples = [
        (text, pair)
        for split in task.splits.values()
        for text, pair in zip(split.texts, split.pairs or split.texts, strict=True)
    ]
    assert len(set(examples)) == 330
    assert len({i for split in task.splits.values() for i in split.ids}) == 330
    assert task.generated
    assert task.name == f"minigrammar/{grammar}"


def test_another_seed_or_size_changes_the_data_but_not_the_validation_set() -> None:
    item, other, larger = (
        _small().load(),
        _small(seed=1).load(),
        Minigrammar(size=400, select_size=50, validation_size=80),
    )
    assert item.digest != other.digest
    assert item.digest != larger.load().digest
    assert item.splits[VALIDATION].texts == larger.load().splits[VALIDATION].texts


def test_noise_changes_training_labels_only() -> None:
    clean, noisy = _small().load(), _small(label_noise=0.2).load()
    for name, share in ((TRAIN, 0.2), (SELECT, 0.0), (VALIDATION, 0.0)):
        assert clean.splits[name].texts == noisy.splits[name].texts
        assert float((clean.splits[name].labels != noisy.splits[name].labels).mean()) == pytest.approx(share, abs=0.08)
    assert clean.digest != noisy.digest


def test_metrics_are_those_of_the_corresponding_glue_task() -> None:
    assert [_small(grammar).load().score for grammar in _DIGESTS] == ["matthews", "accuracy", "accuracy", "mean"]
    task = _small("similarity").load()
    perfect = np.asarray(task.splits[VALIDATION].labels, dtype=np.float64)[:, None]
    assert task.evaluate(VALIDATION, perfect)["score"] == pytest.approx(100.0)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"label_noise": 0.6}, {"label_noise": -0.1}, {"size": 100_001}])
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Minigrammar(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("grammar", _DIGESTS)
def test_keeps_the_contract_of_tasks(grammar: GrammarName) -> None:
    check_task(_small(grammar))
