from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import TENSORS
from bebertlab.packed.card import score_text, wilson_interval
from bebertlab.packed.contract import Score
from bebertlab.testing.tiny import tiny_model, tiny_task


@pytest.mark.parametrize(("right", "examples"), [(0, 1), (1, 1), (0, 30), (30, 30), (1, 7), (850, 872), (5, 10)])
def test_the_interval_is_that_of_a_library(right: int, examples: int) -> None:
    expected = proportion_confint(right, examples, alpha=0.05, method="wilson")
    assert wilson_interval(right / examples, examples) == pytest.approx(expected, abs=1e-12)


def test_only_shares_have_an_interval() -> None:
    assert "interval" in score_text(Score(metric="accuracy", value=90.0, examples=10))
    assert "interval" not in score_text(Score(metric="matthews", value=90.0, examples=10))


def test_the_card_says_what_a_user_must_know(pack: Callable[..., Path], bibert: BertClassifier) -> None:
    score = Score(metric="accuracy", value=87.5, examples=32)
    folder = pack(bibert, task="tiny|task\n## x", score=score, plugins={"bebertlab_bibert": "0.1"})
    card = (folder / "README.md").read_text(encoding="utf-8")
    size = (folder / TENSORS).stat().st_size
    assert f"({size} bytes)" in card
    assert score_text(score) in card
    assert "| task | tiny\\|task ## x |" in card
    assert "0 blame, 1 praise" in card
    assert "1-bit weights, 1-bit activations" in card
    assert 'bebertlab.load_model("packed")' in card
    assert "bebertlab_bibert 0.1" in card


def test_the_card_of_an_ensemble_names_its_members(ensemble: Path) -> None:
    card = (ensemble / "README.md").read_text(encoding="utf-8")
    assert "2 members, merged by weighted_probability, weights 1, 2" in card


def test_the_card_of_a_regression_names_no_classes(pack: Callable[..., Path]) -> None:
    folder = pack(tiny_model(tiny_task(regression=True), QuantSpec()), classes=())
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "a number for each text" in card
    assert "32-bit weights" in card
    assert json.loads((folder / "config.json").read_text())["problem_type"] == "regression"
