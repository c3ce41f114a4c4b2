from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.config.yaml import parse_value, parse_yaml, read_yaml, to_yaml
from bebertlab.errors import UserError

text = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" \n"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=5)


def errors(source: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_yaml(source, "f.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1e-3", 0.001),
        ("5E4", 50000.0),
        ("none", "none"),
        ("no", "no"),
        ("on", "on"),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("010", 10),
        ("2026-11-22", "2026-11-22"),
        ("1:30", "1:30"),
        ("'1'", "1"),
        ("[a, 1]", ["a", 1]),
    ],
)
def test_scalars_follow_yaml_1_2(source: str, value: object) -> None:
    assert parse_yaml(source, "f.yaml").data == value
    assert type(parse_value(source, "--set")) is type(value)


def test_all_duplicate_keys_are_reported_with_their_first_line() -> None:
    assert errors("a: 1\nb: {c: 1, c: 2}\na: 2\n") == [
        "f.yaml:2:11: b.c: duplicate key, first at line 2",
        "f.yaml:3:1: a: duplicate key, first at line 1",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a: [1,\n", "f.yaml:2:1: is not valid YAML: while parsing a flow node expected the node content"),
        ("a: b: c", "f.yaml:1:5: is not valid YAML: mapping values are not allowed here"),
        ("\ta: 1", "f.yaml:1:1: is not valid YAML: while scanning for the next token found character"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: is not valid YAML: expected a single document"),
        ("a: *x", "f.yaml:1:4: is not valid YAML: found undefined alias"),
        ("a: !!python/object:os.system rm", "f.yaml:1:4: a: tag 'tag:yaml.org,2002:python/object:os.system' is not"),
        ("a: !x {b: 1}", "f.yaml:1:4: a: tag '!x' is not allowed"),
        ("a: &x [*x]", "f.yaml:1:4: a.0: an alias must not be inside the node that it refers to"),
        ("a:\n  3: x", "f.yaml:2:3: a: a key must be text; quote it: '3'"),
        ("[1]: x", "f.yaml:1:1: a key must be text"),
        ("b: &b {c: 1}\na:\n  <<: *b", "f.yaml:3:3: a: merge keys (<<) are not supported"),
        ("a: 1\nb: \0", "f.yaml:1:1: is not valid YAML: "),
    ],
)
def test_syntax_errors_have_a_position(source: str, message: str) -> None:
    (error,) = errors(source)
    assert error.startswith(message)


def test_an_alias_is_replaced_by_its_node() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: [*x, *x]", "f").data == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_read_yaml_shows_the_path_as_the_user_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert str(read_yaml(Path("f.yaml")).place(("a",))) == "f.yaml:1:4"
    Path("f.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UserError, match=r"^f\.yaml: cannot be read: 'utf-8' codec"):
        read_yaml(Path("f.yaml"))
    with pytest.raises(UserError, match=r"^none\.yaml: no such file$"):
        read_yaml(Path("none.yaml"))
    with pytest.raises(UserError, match=r"^\S+: is a folder, expected a file$"):
        read_yaml(tmp_path)


def test_errors_of_the_command_line_name_the_option() -> None:
    with pytest.raises(UserError, match=r"^--set x=\[1: is not valid YAML: "):
        parse_value("[1", "--set x=[1")
    with pytest.raises(UserError, match=r"^--set x: a: duplicate key$"):
        parse_value("{a: 1, a: 2}", "--set x")


@given(st.dictionaries(text, trees, max_size=3))
@settings(max_examples=40)
def test_written_yaml_parses_to_the_same_data(data: dict[str, object]) -> None:
    assert parse_yaml(to_yaml(data), "f").data == data


@pytest.mark.parametrize("levels", [200, 5000])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    with pytest.raises(UserError, match=r"a\.yaml:1:\d+: is nested more than 100 levels deep") as raised:
        parse_yaml("[" * levels + "]" * levels, "a.yaml")
    assert len(str(raised.value).splitlines()) == 1


def test_a_read_only_mapping_is_written_as_an_ordinary_one() -> None:
    assert to_yaml(MappingProxyType({"a": {"b": 1}})) == to_yaml({"a": {"b": 1}}) == "a: {b: 1}\n"
