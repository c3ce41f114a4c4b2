from __future__ import annotations

import re
from pathlib import Path

import pytest

from bebertlab.errors import SetupError, UserError
from bebertlab.packed.messages import named, shown


def test_values_are_short_and_printable() -> None:
    assert shown("") == "''"
    assert shown("\x1b[31m") == "'\\x1b[31m'"
    assert len(shown("x" * 10**6)) < 100
    assert shown(None) == "None"


def test_errors_become_one_line_and_keep_their_class() -> None:
    with pytest.raises(SetupError) as caught, named(Path("file"), "part"):
        raise SetupError("first\nsecond \x07")
    assert str(caught.value) == "file: part: first; second ?"
    with pytest.raises(UserError) as long, named(Path("file")):
        raise UserError("x" * 10**6)
    assert len(str(long.value)) < 500


def test_a_path_that_an_error_begins_with_is_not_repeated(tmp_path: Path) -> None:
    for text in (f"{tmp_path}: wrong", f"{tmp_path / 'file'}: wrong"):
        with pytest.raises(UserError, match=f"^{re.escape(text)}$"), named(tmp_path):
            raise UserError(text)
    with pytest.raises(UserError, match=f"^{re.escape(f'{tmp_path}: {tmp_path}2: wrong')}$"), named(tmp_path):
        raise UserError(f"{tmp_path}2: wrong")
