from __future__ import annotations

import pytest

from bebertlab.config.document import Place, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UnknownPart, UserError

FILE = parse_yaml("b: 1\na: {c: 2}\n", "f.yaml")


def test_errors_are_in_the_order_of_the_file_and_without_duplicates() -> None:
    errors = ErrorCollector()
    errors.add(FILE, ("a", "c"), "second")
    errors.add(FILE, ("b",), "first")
    errors.add(FILE, ("a", "c"), "second")
    errors.note("plugin x failed")
    errors.note("plugin x failed")
    assert str(errors).splitlines() == ["f.yaml:1:4: b: first", "f.yaml:2:8: a.c: second", "plugin x failed"]
    assert len(errors) == 2


def test_lines_are_ordered_as_numbers() -> None:
    errors = ErrorCollector()
    for line in (10, 9):
        errors.add_at(Place(origin="f", line=line, column=1), "", "x")
    assert str(errors).splitlines() == ["f:9:1: x", "f:10:1: x"]


def test_errors_are_grouped_by_file() -> None:
    errors = ErrorCollector()
    for origin, line in (("study", 5), ("recipe", 1), ("--set x=1", 0), ("study", 2), ("recipe", 9)):
        errors.add_at(Place(origin=origin, line=line, column=1), "", "x")
    assert [text.removesuffix(": x") for text in str(errors).splitlines()] == [
        *("--set x=1", "study:2:1", "study:5:1", "recipe:1:1", "recipe:9:1")
    ]


def test_an_error_of_a_key_has_the_position_of_the_key() -> None:
    errors = ErrorCollector()
    errors.add(FILE, ("a", "c"), "unknown", key=True)
    assert str(errors) == "f.yaml:2:5: a.c: unknown"


def test_the_path_is_that_in_the_whole_document() -> None:
    errors = ErrorCollector()
    errors.add(FILE.at(("a",)), ("c",), "wrong")
    assert str(errors) == "f.yaml:2:8: a.c: wrong"


def test_data_without_a_position_show_none() -> None:
    errors = ErrorCollector()
    errors.add(YamlDocument.of({}), ("x",), "is missing")
    assert str(errors) == "x: is missing"


def test_collections_can_be_merged_and_raised() -> None:
    first, second = ErrorCollector(), ErrorCollector()
    first.raise_all()
    first.add_error(UserError("g.yaml: no such file"))
    second.add(FILE, ("b",), "wrong")
    first.extend(second)
    assert bool(first)
    with pytest.raises(UserError, match=r"^g\.yaml: no such file\nf\.yaml:1:4: b: wrong$"):
        first.raise_all()


def test_errors_at_positions_with_an_error_can_be_omitted() -> None:
    first, second = ErrorCollector(), ErrorCollector()
    first.add(FILE, ("b",), "wrong")
    second.add(FILE, ("b",), "wrong in other words")
    second.add(FILE, ("a", "c"), "wrong")
    second.add(FILE, ("a", "c"), "twice")
    first.extend(second, once=True)
    assert str(first).splitlines() == ["f.yaml:1:4: b: wrong", "f.yaml:2:8: a.c: wrong", "f.yaml:2:8: a.c: twice"]


def test_paths_into_an_unknown_part_are_reported_once_and_only_if_the_part_itself_is_not() -> None:
    what = "unknown stage 'finetun'"
    paths, whole = ErrorCollector(), ErrorCollector()
    for number in (2, 3):
        paths.add_error(UnknownPart(f"a.{number}", what).at(f"f.yaml:{number}:1"))
    assert (str(paths), len(paths), bool(paths)) == (f"f.yaml:2:1: a.2: {what}", 1, True)
    whole.extend(paths)
    assert str(whole) == str(paths)
    whole.add(FILE, ("b",), f"{what}; known: finetune")
    assert str(whole) == f"f.yaml:1:4: b: {what}; known: finetune"
