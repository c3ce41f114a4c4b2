from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.model.bert import BertClassifier
from bebertlab.model.classes import (
    check_problem,
    class_names,
    contradicts,
    listed,
    output_order,
    read_class_names,
    reorder_outputs,
)

NLI = ("contradiction", "entailment", "neutral")
NUMBERED = {"0": "LABEL_0", "1": "LABEL_1"}


def config(by_output: object = None, by_name: object = None) -> dict[str, Any]:
    return {"id2label": by_output, "label2id": by_name}


@pytest.mark.parametrize(
    ("by_output", "by_name", "names"),
    [
        (None, None, None),
        ({}, {}, None),
        ({"1": "b", "0": "a"}, None, ("a", "b")),
        ({1: "b", 0: "a"}, None, ("a", "b")),
        (None, {"b": 0, "a": "1"}, ("b", "a")),
        (NUMBERED, {"b": 0, "a": 1}, ("b", "a")),
        ({"0": "a", "1": "b"}, {"LABEL_0": 0, "LABEL_1": 1}, ("a", "b")),
        ({"0": "a b", "1": "A_B"}, {"a b": 0, "A_B": 1}, ("a b", "A_B")),
        ({"0": "Not-It", "1": "IT"}, {"not_it": 0, "it": 1}, ("Not-It", "IT")),
        ({"0": "a", "1": "b"}, {"a": 0, "first": 0, "b": 1, "hidden": -1}, ("a", "b")),
        ({"0": 0, "1": 1.0}, {"0": 0, "1.0": 1}, ("0", "1.0")),
        (NUMBERED, None, ("LABEL_0", "LABEL_1")),
        ({**NUMBERED, "2": "LABEL_2"}, None, None),
        ({"0": "LABEL_0"}, {"0": 0, "1": 1}, ("0", "1")),
    ],
)
def test_two_default_names_are_read(by_output: object, by_name: object, names: tuple[str, ...] | None) -> None:
    assert class_names(config(by_output, by_name), 2) == names


@pytest.mark.parametrize(
    ("by_output", "by_name", "message"),
    [
        ({"0": "a", "1": "b"}, {"a": 1, "b": 0}, "contradict each other: 0 is a, 1 is b; 0 is b, 1 is a"),
        ({"0": "a", "1": "b"}, {"c": 0, "b": 1}, "contradict each other"),
        ({"0": "a", "1": "b"}, {"A": 1, "b": 1}, "contradict each other"),
        ({"0": "a", "1": "b"}, {"x": 0, "y": 1}, "contradict each other"),
        ({"0": "LABEL_1", "1": "LABEL_0"}, {"LABEL_0": 0, "LABEL_1": 1}, "contradict each other: 0 is LABEL_1"),
        ({"0": "a", "2": "b"}, None, r"id2label \(0 is a, 2 is b\) must name each of the outputs 0 to 1 once"),
        ({"0": "a", "1": "b", "2": "c"}, None, "each of the outputs 0 to 1 once"),
        ({"0": "a", "00": "b"}, None, "each of the outputs 0 to 1 once"),
        (None, {"neg": 0, "NEG": 0, "pos": 1}, r"label2id \(0 is NEG, 0 is neg, 1 is pos\) must name"),
        (["a", "b"], None, "id2label is of type list; expected an object"),
        ({"a": "0", "b": "1"}, None, "id2label has 'a' where the number of an output is expected"),
        ({"9" * 5000: "a"}, None, "where the number of an output is expected"),
        (None, {"a": True, "b": 1}, "label2id has True where the number of an output is expected"),
        ({"0": None, "1": "b"}, None, "id2label has None where the name of a class is expected"),
    ],
)
def test_names_that_contradict_each_other_or_the_outputs_are_refused(
    by_output: object, by_name: object, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        class_names(config(by_output, by_name), 2)


@pytest.mark.parametrize(
    ("names", "classes", "order"),
    [
        (("entailment", "neutral", "contradiction"), NLI, (2, 0, 1)),
        (("ENTAILMENT", " Neutral ", "Contradiction"), NLI, (2, 0, 1)),
        (NLI, NLI, (0, 1, 2)),
        (("Not Entailment", "entailment"), ("entailment", "not_entailment"), (1, 0)),
        (("NotEntailment", "_entailment"), ("not-entailment", "entailment"), (0, 1)),
        (("a-b", "a b"), ("a b", "a-b"), (1, 0)),
        (("-1", "0", "1"), ("1", "0", "-1"), (2, 1, 0)),
        (("-", "+"), ("+", "-"), (1, 0)),
        (("U\u0308BEL", "STRASSE"), ("stra\u00dfe", "\u00fcbel"), (1, 0)),
        (("1", "0"), ("0", "1"), (1, 0)),
        (None, NLI, None),
        (("LABEL_0", "LABEL_1", "LABEL_2"), NLI, None),
        (("0", "1", "2"), NLI, None),
        (("class 1", "class 2", "Class-3"), NLI, None),
        (("-1", "0.0", "1.0"), NLI, None),
        (("LABEL_0", "LABEL_1"), ("0", "1"), None),
    ],
)
def test_outputs_are_matched_by_name(
    names: tuple[str, ...] | None, classes: tuple[str, ...], order: tuple[int, ...] | None
) -> None:
    assert output_order(names, classes) == order


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("NEG", "POS"), ("negative", "positive")),
        (("entailment", "neutral", "other"), NLI),
        (("entailment", "entailment", "neutral"), NLI),
        (("entailment", "Entailment", "neutral"), NLI),
        (("LABEL_2", "LABEL_1", "LABEL_0"), NLI),
        (("0", "0", "1"), NLI),
        (("0", "1", "neutral"), NLI),
        (("0", "1"), ("-1", "0")),
        (("0",), ("no", "yes")),
        (("A-B", "x"), ("a b", "a-b")),
        (("yes", "no"), ("entailment", "not_entailment")),
    ],
)
def test_other_names_are_refused_with_both_orders(names: tuple[str, ...], classes: tuple[str, ...]) -> None:
    actual, expected = ", ".join(names), ", ".join(classes)
    with pytest.raises(UserError, match=f"are named {actual}; the classes of the task are {expected}"):
        output_order(names, classes)


def test_a_label_that_refers_to_another_output_contradicts() -> None:
    assert contradicts(("entailment", "neutral", "other"), NLI)
    assert not contradicts(("other", "Entailment", "x"), NLI)
    assert contradicts(("a-b", "a b"), ("a b", "a-b"))


def test_the_output_of_a_regression_has_no_class() -> None:
    for names in ({"0": "similarity"}, {"0": "negative", "1": "positive"}):
        assert class_names(config(names), 1) is None


def test_long_lists_are_shortened_to_one_line() -> None:
    assert listed(["a\nb", "\u00fc"]) == "'a\\nb', \u00fc"
    assert listed([str(number) for number in range(22)]).endswith("18, 19 and 2 more")


@pytest.mark.parametrize(
    ("problem", "outputs", "fits"),
    [
        (None, 3, True),
        ("single_label_classification", 3, True),
        ("regression", 1, True),
        ("multi_label_classification", 3, False),
        ("multi_label_classification", 1, False),
        ("regression", 2, False),
        ("single_label_classification", 1, False),
    ],
)
def test_a_classifier_has_one_class_or_one_score_per_text(problem: str | None, outputs: int, fits: bool) -> None:
    if fits:
        check_problem({"problem_type": problem}, outputs)
        return
    with pytest.raises(UserError, match=f"problem_type is '{problem}'; expected '"):
        check_problem({"problem_type": problem}, outputs)


def test_only_the_rows_of_the_classifier_move(checkpoint: Checkpoint) -> None:
    moved = reorder_outputs(checkpoint, (2, 0, 1))
    for name, tensor in checkpoint.tensors.items():
        expected = tensor[[2, 0, 1]] if name.startswith("classifier.") else tensor
        assert torch.equal(moved.tensors[name], expected), name
    assert BertClassifier.from_checkpoint(moved).architecture == checkpoint.architecture


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(SetupError, match=r"config\.json: no such file"):
        read_class_names(path, 2)
    path.write_text(json.dumps(config({"0": "a", "1": "b"})))
    assert read_class_names(path, 2) == ("a", "b")
    path.write_text(json.dumps(config({"0": "a", "3": "b"})))
    with pytest.raises(UserError, match=r"config\.json: id2label \(0 is a, 3 is b\)"):
        read_class_names(path, 2)
