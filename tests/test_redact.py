from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.redact import redact, redact_error, redact_word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:hunter2@127.0.0.1:9", "http://me:***@127.0.0.1:9"),
        ("at postgresql+psycopg2://me:p%40ss@h/db: refused", "at postgresql+psycopg2://me:***@h/db: refused"),
        ("https://:hunter2@h/", "https://:***@h/"),
        ("http://me:p@ss/w:ord@h/x and http://you:b@h", "http://me:***@h/x and http://you:***@h"),
        ("'mysql://me:hunter2@h'", "'mysql://me:***@h'"),
        ("postgresql://h/db?user=me&password=hunter2&sslmode=on", "postgresql://h/db?user=me&password=***&sslmode=on"),
        ("https://h/?access_token=abc", "https://h/?access_token=***"),
        (
            "OperationalError: connect({'user': 'me', 'password': 'hun ter2'}) or password=\"hunter2\"",
            "OperationalError: connect({'user': 'me', 'password': '***'}) or password=\"***\"",
        ),
        ("postgresql://me@server:hunter2@h/db", "postgresql://me@server:***@h/db"),
        (
            "no address: a@b, 12:30, http://127.0.0.1:5000/#/runs/1",
            "no address: a@b, 12:30, http://127.0.0.1:5000/#/runs/1",
        ),
        ("study little@caeca4ef in http://h:5000/x", "study little@caeca4ef in http://h:5000/x"),
    ],
)
def test_only_passwords_are_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_passwords_with_special_characters_are_hidden(password: str) -> None:
    shown = redact(f"MLflow at https://user:{password}@host.example:443/path cannot be written")
    assert shown == "MLflow at https://user:***@host.example:443/path cannot be written"


@given(st.text(min_size=1))
def test_an_argument_of_the_command_line_may_contain_any_character(password: str) -> None:
    assert redact_word(f"http://me:{password}@host") == "http://me:***@host"


def test_the_query_of_an_address_may_contain_special_characters() -> None:
    assert redact_word("mysql://h/db?user=me&password=a,b;c'd)e&ssl=on") == "mysql://h/db?user=me&password=***&ssl=on"


@pytest.mark.parametrize("password", ["hunter2", "hun ter2", "h'un\"ter", "h%40un%27ter"])
def test_an_error_may_quote_the_address_or_its_password(password: str) -> None:
    uri = f"http://me:{password}@host:9"
    text = f"request to {uri}/api failed: {unquote(password)!s} is wrong, {password} too"
    assert redact_error(text, uri) == "request to http://me:***@host:9/api failed: *** is wrong, *** too"
    assert redact_error("no address", "") == "no address"
