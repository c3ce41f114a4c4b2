from __future__ import annotations

import codecs
import io

import pytest

from bebertlab.errors import UserError
from bebertlab.text_input import lines
from bebertlab.text_input.lines import LineReader, LineSource


def source(data: bytes) -> LineSource:
    return LineSource(LineReader(io.BytesIO(data), "input", len(data)))


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"good film", ["good film"]),
        (b"good film\n\n  \nbad\n", ["good film", "", "  ", "bad"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (codecs.BOM_UTF8 + b"a\n" + codecs.BOM_UTF8 + b"b", ["a", "\ufeffb"]),
        (codecs.BOM_UTF8, []),
        ("a\u2028b\x0bc\x85d\re\n".encode(), ["a\u2028b\x0bc\x85d\re"]),
        (b"a\x00b\n", ["a\x00b"]),
    ],
)
def test_each_line_is_a_text(data: bytes, texts: list[str]) -> None:
    records = list(source(data))
    assert [record.texts for record in records] == [(text,) for text in texts]
    assert [record.number for record in records] == list(range(1, len(texts) + 1))


def test_a_line_that_is_not_utf8_is_a_problem_of_its_own() -> None:
    records = list(source(b"good\nb\xe4d\nfilm\n"))
    assert [record.problem for record in records] == [None, "byte 0xe4 is not UTF-8", None]
    assert records[2].texts == ("film",)


def test_the_position_counts_bytes() -> None:
    texts = source(codecs.BOM_UTF8 + "caf\u00e9\r\nb".encode())
    positions = [texts.position for _ in texts]
    assert (positions, texts.total) == ([10, 11], 11)


def test_a_line_of_a_megabyte_is_read() -> None:
    text = "good " * 200_000
    assert [record.texts for record in source(f"{text}\nbad".encode())] == [(text,), ("bad",)]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 8)
    assert [record.texts for record in source(b"seven77\n")] == [("seven77",)]
    with pytest.raises(UserError, match=r"^input, line 2: longer than 0 MiB$"):
        list(source(b"a\nmore than 8\n"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-32-be"])
def test_other_encodings_are_named(encoding: str) -> None:
    data = "\ufeffgood".encode(encoding) if encoding.endswith("be") else "good".encode(encoding)
    with pytest.raises(UserError, match=f"^input is {encoding[:6].upper()}; save it as UTF-8$"):
        list(source(data))
