"""Values, errors, durations and sizes as text for users."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


def format_value(value: object) -> str:
    """A value as in YAML, shortened.

    >>> format_value(True), format_value("2"), format_value(None), format_value({"a": 1})
    ('true', "'2'", 'null', 'a mapping')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def format_error(error: Exception, name: str, value: object) -> str:
    """The message of a validator of attrs, without the name of the field.

    >>> format_error(ValueError("'epochs' must be > 0: -1"), "epochs", -1)
    'must be > 0, got -1'
    >>> format_error(ValueError("'name' must be in ('a', 'b') (got 'c')", None, ("a", "b"), "c"), "name", "c")
    "must be one of 'a', 'b', got 'c'"
    >>> format_error(ValueError("width 0.3 gives 3.6 heads; take a multiple of 1/12"), "width", 0.3)
    'width 0.3 gives 3.6 heads; take a multiple of 1/12'
    """
    text = str(error.args[0]) if error.args else type(error).__name__
    text = text.removesuffix(".")
    if text.startswith(f"'{name}' must be in ") and len(error.args) >= 3:
        options = ", ".join(format_value(option) for option in error.args[2])
        return f"must be one of {options}, got {format_value(value)}"
    if text == f"Length of '{name}' must be >= 1: 0":
        return "must not be empty"
    for start in (f"'{name}' must ", f"Length of '{name}' must "):
        if text.startswith(start):
            rule, colon, got = text.removeprefix(start).rpartition(": ")
            subject = "must " if start.startswith("'") else "length must "
            return f"{subject}{rule}, got {got}" if colon else f"{subject}{text.removeprefix(start)}"
    return text


def format_duration(seconds: float, *, rough: bool = False) -> str:
    """Seconds with their unit; roughly: exact to a second, from ten on to five, from sixty on to a minute.

    >>> format_duration(0.42), format_duration(33.14), format_duration(75.0), format_duration(3725.0)
    ('0.42 s', '33.1 s', '1 min 15 s', '1 h 2 min')
    >>> format_duration(4.21, rough=True), format_duration(33.0, rough=True), format_duration(75.0, rough=True)
    ('4 s', '35 s', '1 min')
    """
    if seconds < 60:
        return f"{_rounded(seconds)} s" if rough else f"{seconds:.{2 if seconds < 10 else 1}f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{round(seconds / 60)} min" if rough else f"{minutes} min {left} s"


def format_size(size: int) -> str:
    """Bytes with their unit, in steps of 1024.

    >>> format_size(500), format_size(3 * 2**20), format_size(5 * 2**40)
    ('500 B', '3.0 MiB', '5120.0 GiB')
    """
    if size < 1024:
        return f"{size} B"
    value, unit = size / 1024, "KiB"
    for larger in ("MiB", "GiB"):
        if value >= 1024:
            value, unit = value / 1024, larger
    return f"{value:.1f} {unit}"


def _rounded(seconds: float) -> int:
    """To a second, from ten on to five: the seconds that are left must be seen to fall."""
    return max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)
