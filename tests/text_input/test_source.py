from __future__ import annotations

import io
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from bebertlab.errors import SetupError, UserError
from bebertlab.text_input.source import InputFormat, format_of, open_file, read_stream

CONTENTS: dict[str, str] = {
    "t.txt": "x\ny\n",
    "t.csv": "a\nx\ny\n",
    "t.tsv": "a\nx\ny\n",
    "t.jsonl": '{"a": "x"}\n{"a": "y"}\n',
    "T.NDJSON": '{"a": "x"}\n{"a": "y"}\n',
}


@pytest.mark.parametrize("name", [*CONTENTS, "t.parquet"])
def test_a_file_is_read_by_its_suffix(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "t.parquet":
        parquet.write_table(pyarrow.table({"a": ["x", "y"]}), path)
    else:
        path.write_text(CONTENTS[name])
    with open_file(path, format_of(path), ()) as source:
        assert [record.texts for record in source] == [("x",), ("y",)]
        assert source.name == str(path)
        assert source.position == source.total


@pytest.mark.parametrize("name", ["t.json", "t.csv.gz", "t"])
def test_other_suffixes_need_the_format(name: str) -> None:
    with pytest.raises(UserError, match=r"its suffix is none of .txt, .csv, .*; name its format with --input-format$"):
        format_of(Path(name))


def test_a_stream_is_read_in_any_format_of_lines() -> None:
    source = read_stream(io.BytesIO(b"a\tb\nx\ty\n"), "standard input", "tsv", ["b"])
    assert ([record.texts for record in source], source.total) == ([("y",)], None)
    with pytest.raises(UserError, match=r"^standard input: parquet cannot be read from a stream; give a file$"):
        read_stream(io.BytesIO(), "standard input", "parquet", [])


@pytest.mark.parametrize(
    ("form", "columns", "message"),
    [
        ("text", ["a"], "^--column: lines of text have no columns; name another format with --input-format$"),
        ("csv", ["a", "b", "c"], "^--column is given 3 times; expected once, or twice for pairs of texts$"),
    ],
)
def test_columns_that_make_no_sense_are_refused(
    form: InputFormat, columns: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        read_stream(io.BytesIO(b"a,b,c\n"), "standard input", form, columns)
    with pytest.raises(UserError, match=message), open_file(tmp_path / "missing", form, columns):
        pass


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"missing\.txt: cannot be read: No such file"):
        open_file(tmp_path / "missing.txt", "text", ()).__enter__()
