from __future__ import annotations

from typing import Any

import pytest
from attrs import field, frozen, validators

from bebertlab.config.humanize import format_duration, format_error, format_size, format_value
from bebertlab.interfaces.ensemble import Sampling


def test_values_are_formatted_as_yaml_and_shortened() -> None:
    values: tuple[object, ...] = (1.7, [], {}, Sampling.ALL, False)
    assert [format_value(value) for value in values] == [
        "1.7",
        "an empty list",
        "an empty mapping",
        "'all'",
        "false",
    ]
    assert format_value("x" * 100) == "'" + "x" * 56 + "..."


@frozen
class Checked:
    number: float = field(default=1.0, validator=validators.and_(validators.ge(0), validators.le(1)))
    choice: str = field(default="a", validator=validators.in_(("a", "b")))
    short: str = field(default="", validator=validators.max_len(3))
    items: tuple[int, ...] = field(default=(1,), validator=validators.min_len(1))
    name: str = field(default="a", validator=validators.matches_re("[a-z]+"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("number", 2.5, "must be <= 1, got 2.5"),
        ("choice", "c", "must be one of 'a', 'b', got 'c'"),
        ("short", "long: er", "length must be <= 3, got 8"),
        ("items", (), "must not be empty"),
        ("name", "A", "must match regex '[a-z]+' ('A' doesn't)"),
    ],
)
def test_messages_of_attrs_validators_are_shortened(name: str, value: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is what the test is about
        Checked(**{name: value})
    assert format_error(caught.value, name, value) == message


def test_an_error_without_a_message_shows_its_class() -> None:
    assert format_error(ValueError(), "x", 1) == "ValueError"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 s"),
        (9.99, "9.99 s"),
        (59.4, "59.4 s"),
        (60.0, "1 min 0 s"),
        (3599.0, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (7322.0, "2 h 2 min"),
        (3600.0 * 1234, "1,234 h 0 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (2.0, "2 s"), (9.9, "10 s"), (31.0, "30 s"), (100.0, "2 min"), (7330.0, "2 h 2 min")],
)
def test_rough_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds, rough=True) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**30, "5.0 GiB"), (5 * 2**40, "5120.0 GiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert format_size(size) == text
