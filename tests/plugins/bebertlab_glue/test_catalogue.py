"""The nine tasks."""

from __future__ import annotations

import pytest

from bebertlab_glue.catalogue import CATALOGUE, TaskName


def test_there_are_nine_and_one_is_regression() -> None:
    assert len(CATALOGUE) == 9
    assert [name for name, entry in CATALOGUE.items() if not entry.classes] == ["stsb"]


@pytest.mark.parametrize(
    ("name", "score"), [("cola", "matthews"), ("mrpc", "accuracy"), ("qqp", "accuracy"), ("stsb", "mean")]
)
def test_models_are_chosen_by_the_metric_of_the_papers(name: TaskName, score: str) -> None:
    assert CATALOGUE[name].score == score


def test_labels_are_ordered_as_on_the_hub() -> None:
    assert CATALOGUE["mnli"].classes == ("entailment", "neutral", "contradiction")
    assert CATALOGUE["rte"].classes[0] == CATALOGUE["qnli"].classes[0] == "entailment"
