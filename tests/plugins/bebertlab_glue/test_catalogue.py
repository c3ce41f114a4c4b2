"""The nine tasks."""

from __future__ import annotations

import pytest

from bebertlab.model.classes import output_order
from bebertlab_glue.catalogue import CATALOGUE, TaskName


def test_there_are_nine_tasks_of_which_one_is_a_regression() -> None:
    assert len(CATALOGUE) == 9
    assert [name for name, entry in CATALOGUE.items() if not entry.classes] == ["stsb"]


@pytest.mark.parametrize(
    ("name", "score"), [("cola", "matthews"), ("mrpc", "accuracy"), ("qqp", "accuracy"), ("stsb", "mean")]
)
def test_main_metrics_are_those_of_the_papers(name: TaskName, score: str) -> None:
    assert CATALOGUE[name].score == score


def test_classes_are_ordered_as_in_the_code_of_the_papers() -> None:
    assert CATALOGUE["mnli"].classes == ("contradiction", "entailment", "neutral")
    assert CATALOGUE["rte"].classes == CATALOGUE["qnli"].classes == ("entailment", "not_entailment")
    assert CATALOGUE["wnli"].classes == ("not_entailment", "entailment")


def test_only_mnli_has_another_class_order_on_the_hub() -> None:
    other = {name: entry.stored_classes for name, entry in CATALOGUE.items() if entry.stored_classes != entry.classes}
    assert other == {"mnli": ("entailment", "neutral", "contradiction")}


@pytest.mark.parametrize("name", [name for name, entry in CATALOGUE.items() if entry.classes])
def test_classifiers_of_the_hub_are_matched_by_name(name: TaskName) -> None:
    classes = CATALOGUE[name].classes
    stored = CATALOGUE[name].stored_classes
    for given in (stored, tuple(reversed(stored)), tuple(item.upper().replace("_", "-") for item in stored)):
        order = output_order(given, classes)
        assert order is not None
        assert [given[output].lower().replace("-", "_") for output in order] == list(classes)
    assert output_order([f"LABEL_{number}" for number in range(len(classes))], classes) is None


def test_mnli_has_two_validation_sets_and_the_others_one() -> None:
    assert CATALOGUE["mnli"].validation == {
        "validation": "validation_matched",
        "validation_mismatched": "validation_mismatched",
    }
    assert all(len(entry.validation) == 1 for name, entry in CATALOGUE.items() if name != "mnli")
    assert CATALOGUE["cola"].validation == {"validation": "validation"}
