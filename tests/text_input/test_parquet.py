from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from bebertlab.errors import UserError
from bebertlab.text_input.parquet import ParquetSource


def write(folder: Path, columns: Mapping[str, Any], **options: int) -> Path:
    path = folder / "t.parquet"
    parquet.write_table(pyarrow.table(dict(columns)), path, **options)
    return path


def read(path: Path, *columns: str) -> list[tuple[int, tuple[str, ...] | str | None]]:
    with closing(ParquetSource(path, columns)) as source:
        return [(record.number, record.texts or record.problem) for record in source]


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.string(),
        pyarrow.large_string(),
        pyarrow.string_view(),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    ],
    ids=str,
)
def test_texts_of_every_type_of_strings_are_read(kind: object, tmp_path: Path) -> None:
    path = write(tmp_path, {"id": [1, 2, 3], "a": pyarrow.array(["x", None, ""]).cast(kind)})
    assert read(path, "a") == [(1, ("x",)), (2, "'a' is null; expected a text"), (3, ("",))]


def test_two_columns_are_pairs_and_row_groups_are_read_one_after_the_other(tmp_path: Path) -> None:
    numbers = [str(number) for number in range(2500)]
    path = write(tmp_path, {"a": numbers, "b": numbers[::-1]}, row_group_size=700)
    assert read(path, "b", "a") == [
        (row, (second, first)) for row, (first, second) in enumerate(zip(numbers, numbers[::-1], strict=True), start=1)
    ]


def test_the_only_column_is_read_and_rows_are_counted(tmp_path: Path) -> None:
    with closing(ParquetSource(write(tmp_path, {"a": ["x", "y"]}), ())) as source:
        assert ([source.position for _ in source], source.total) == ([1, 2], 2)


def test_an_empty_table_has_no_texts(tmp_path: Path) -> None:
    assert read(write(tmp_path, {"a": pyarrow.array([], pyarrow.string())}), "a") == []


def test_bytes_that_are_not_utf8_are_problems_of_their_rows(tmp_path: Path) -> None:
    array = pyarrow.array([b"x", b"\xff", None]).view(pyarrow.string())
    path = write(tmp_path, {"a": array, "b": array.dictionary_encode()})
    expected = [(1, ("x",)), (2, "byte 0xff is not UTF-8"), (3, "'{}' is null; expected a text")]
    for column in ("a", "b"):
        assert read(path, column) == [
            (number, text.format(column) if isinstance(text, str) else text) for number, text in expected
        ]


def test_columns_that_are_not_texts_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [1, 2], "b": [b"x", b"y"], "c": ["x", "y"]})
    for column, kind in (("a", "int64"), ("b", "binary")):
        with pytest.raises(UserError, match=rf"t\.parquet: column '{column}' is of type {kind}; expected texts"):
            read(path, column)
    with pytest.raises(UserError, match=r"has no column 'd'; known: a, b, c$"):
        read(path, "d")
    with pytest.raises(UserError, match="has 3 columns; choose"):
        read(path)


def test_columns_with_the_same_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["x"])] * 2, names=["a", "a"]), path)
    with pytest.raises(UserError, match="has 2 columns 'a'"):
        read(path, "a")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 no table")
    with pytest.raises(UserError, match=r"t\.parquet: not a readable parquet file: "):
        read(path, "a")
    write(tmp_path, {"a": [f"text {number}" for number in range(5000)]}, row_group_size=2000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    with closing(ParquetSource(path, ["a"])) as source:
        records = iter(source)
        assert next(records).texts == ("text 0",)
        with pytest.raises(UserError, match=r"t\.parquet, row \d+: cannot be read from here on: "):
            list(records)
