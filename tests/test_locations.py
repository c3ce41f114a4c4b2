from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.locations import environment_folder, expand_home, path_from


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")


def test_a_leading_tilde_is_the_home_folder() -> None:
    assert expand_home("~") == "/home/me"
    assert expand_home("~/a/~b") == "/home/me/a/~b"
    assert [expand_home(text) for text in ("a/~", "./~", "/~/a", "")] == ["a/~", "./~", "/~/a", ""]
    with pytest.raises(UserError, match=r"^~nobody-here/a: unknown home folder ~nobody-here; write \./~nobody"):
        expand_home("~nobody-here/a")


def test_a_relative_path_is_relative_to_the_file_that_names_it() -> None:
    assert path_from("studies", "../data") == Path("studies/../data")
    assert path_from("", "data") == Path("data")
    assert path_from(Path("studies"), "~/data") == Path("/home/me/data")
    assert path_from("studies", "/data") == Path("/data")


def test_a_variable_names_a_folder_unless_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_FOLDER", raising=False)
    assert environment_folder("SOME_FOLDER") is None
    monkeypatch.setenv("SOME_FOLDER", "")
    assert environment_folder("SOME_FOLDER") is None
    monkeypatch.setenv("SOME_FOLDER", "~/data")
    assert environment_folder("SOME_FOLDER") == Path("/home/me/data")
    monkeypatch.setenv("SOME_FOLDER", "data")
    assert environment_folder("SOME_FOLDER") == Path("data")
