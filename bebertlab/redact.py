"""Passwords taken out of what is printed, logged and stored."""

from __future__ import annotations

import re

HIDDEN = "***"

#: user and password before a host; the password may hold unquoted signs, so it ends at the last @ of the word
_USER = re.compile(r"(?P<start>\b[a-z][a-z0-9+.-]*://[^\s:/?#@'\"]*:)(?P<password>[^\s'\"]+)@", re.IGNORECASE)
_SETTING = re.compile(
    r"(?P<start>\b[\w-]*(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key)=)(?P<value>[^\s&;'\",)\]]+)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with *** in place of passwords in addresses.

    >>> redact("API request to http://me:hunter2@127.0.0.1:9/api failed")
    'API request to http://me:***@127.0.0.1:9/api failed'
    >>> redact("postgresql://db/mlflow?user=me&password=hunter2")
    'postgresql://db/mlflow?user=me&password=***'
    """
    return _SETTING.sub(rf"\g<start>{HIDDEN}", _USER.sub(rf"\g<start>{HIDDEN}@", text))


def redact_word(word: str) -> str:
    """A word of a command line, which may have spaces or quotes in it, with *** in place of passwords.

    >>> redact_word("--tracking-uri=http://me:hun ter's@host")
    '--tracking-uri=http://me:***@host'
    """
    return redact(re.sub(r"(://[^\s:/?#@]*:).*@", rf"\1{HIDDEN}@", word, flags=re.DOTALL))
