from __future__ import annotations

import pytest

from bebertlab.config.document import Place, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UnknownPart, UserError

FILE = parse_yaml("b: 1\na: {c: 2}\n", "f.yaml")


def test_faults_come_in_the_order_of_the_file_and_once_each() -> None:
    faults = ErrorCollector()
    faults.add(FILE, ("a", "c"), "second")
    faults.add(FILE, ("b",), "first")
    faults.add(FILE, ("a", "c"), "second")
    faults.note("plugin x failed")
    faults.note("plugin x failed")
    assert str(faults).splitlines() == ["f.yaml:1:4: b: first", "f.yaml:2:8: a.c: second", "plugin x failed"]
    assert len(faults) == 2


def test_lines_are_ordered_as_numbers() -> None:
    faults = ErrorCollector()
    for line in (10, 9):
        faults.add_at(Place(origin="f", line=line, column=1), "", "x")
    assert str(faults).splitlines() == ["f:9:1: x", "f:10:1: x"]


def test_files_are_told_one_after_the_other() -> None:
    faults = ErrorCollector()
    for origin, line in (("study", 5), ("recipe", 1), ("--set x=1", 0), ("study", 2), ("recipe", 9)):
        faults.add_at(Place(origin=origin, line=line, column=1), "", "x")
    assert [text.removesuffix(": x") for text in str(faults).splitlines()] == [
        *("--set x=1", "study:2:1", "study:5:1", "recipe:1:1", "recipe:9:1")
    ]


def test_a_fault_of_a_key_points_to_the_key() -> None:
    faults = ErrorCollector()
    faults.add(FILE, ("a", "c"), "unknown", key=True)
    assert str(faults) == "f.yaml:2:5: a.c: unknown"


def test_a_part_is_named_by_its_path_in_the_whole() -> None:
    faults = ErrorCollector()
    faults.add(FILE.at(("a",)), ("c",), "wrong")
    assert str(faults) == "f.yaml:2:8: a.c: wrong"


def test_data_without_a_place_shows_none() -> None:
    faults = ErrorCollector()
    faults.add(YamlDocument.of({}), ("x",), "is missing")
    assert str(faults) == "x: is missing"


def test_collections_add_up_and_raise_together() -> None:
    one, two = ErrorCollector(), ErrorCollector()
    one.raise_all()
    one.add_error(UserError("g.yaml: there is no such file"))
    two.add(FILE, ("b",), "wrong")
    one.extend(two)
    assert bool(one)
    with pytest.raises(UserError, match=r"^g\.yaml: there is no such file\nf\.yaml:1:4: b: wrong$"):
        one.raise_all()


def test_faults_of_places_that_have_one_can_be_left_out() -> None:
    one, two = ErrorCollector(), ErrorCollector()
    one.add(FILE, ("b",), "wrong")
    two.add(FILE, ("b",), "wrong in other words")
    two.add(FILE, ("a", "c"), "wrong")
    two.add(FILE, ("a", "c"), "twice")
    one.extend(two, once=True)
    assert str(one).splitlines() == ["f.yaml:1:4: b: wrong", "f.yaml:2:8: a.c: wrong", "f.yaml:2:8: a.c: twice"]


def test_paths_into_an_unknown_part_are_told_once_and_only_where_the_part_itself_is_not() -> None:
    what = "unknown stage 'finetun'"
    paths, whole = ErrorCollector(), ErrorCollector()
    for number in (2, 3):
        paths.add_error(UnknownPart(f"a.{number}", what).at(f"f.yaml:{number}:1"))
    assert (str(paths), len(paths), bool(paths)) == (f"f.yaml:2:1: a.2: {what}", 1, True)
    whole.extend(paths)
    assert str(whole) == str(paths)
    whole.add(FILE, ("b",), f"{what}; known: finetune")
    assert str(whole) == f"f.yaml:1:4: b: {what}; known: finetune"
