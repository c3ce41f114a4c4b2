"""Removal of passwords from what is printed, logged and stored."""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "***"

_SHORTEST = 4  #: characters of a password that is replaced on its own; shorter ones occur in ordinary words

#: user and password before a host; the password may contain anything but white space, so it ends at the last @
_USER = re.compile(r"(?P<start>\b[a-z][a-z0-9+.-]*://[^\s:/?#'\"]*:)(?P<password>[^\s]+)@", re.IGNORECASE)
#: the same in a text that is one address or word, which may contain any character
_USER_OF_WORD = re.compile(r"(?P<start>://[^\s:/?#]*:)(?P<password>.*)@", re.DOTALL)
_SETTING = re.compile(
    r"(?P<start>\b[\w-]*(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key)=)(?P<value>[^\s&;'\",)\]]+)",
    re.IGNORECASE,
)
#: as a mapping or a keyword argument is printed
_QUOTED = re.compile(
    r"(?P<start>\b[\w-]*(?:passw(?:or)?d|pwd|secret)['\"]?\s*[=:]\s*(?P<quote>['\"]))(?P<value>.*?)(?P=quote)",
    re.IGNORECASE,
)
#: a parameter in the query of an address that is a word on its own
_QUERY = re.compile(r"(?P<start>[?&][\w-]*(?:passw(?:or)?d|pwd|secret|token)=)[^&]*", re.IGNORECASE)


def redact(text: str) -> str:
    """Replace passwords in addresses and settings by ***.

    >>> redact("API request to http://me:hunter2@127.0.0.1:9/api failed")
    'API request to http://me:***@127.0.0.1:9/api failed'
    >>> redact("postgresql://db/mlflow?user=me&password=hunter2")
    'postgresql://db/mlflow?user=me&password=***'
    """
    for pattern, replacement in ((_USER, f"{HIDDEN}@"), (_SETTING, HIDDEN), (_QUOTED, rf"{HIDDEN}\g<quote>")):
        text = pattern.sub(rf"\g<start>{replacement}", text)
    return text


def redact_word(word: str) -> str:
    """Replace passwords in a word of a command line, which may contain spaces or quotes.

    >>> redact_word("--tracking-uri=http://me:hun ter's@host")
    '--tracking-uri=http://me:***@host'
    """
    word = _USER_OF_WORD.sub(rf"\g<start>{HIDDEN}@", word)
    return redact(_QUERY.sub(rf"\g<start>{HIDDEN}", word))


def redact_error(text: str, uri: str) -> str:
    """Replace passwords in the text of an error about an address, which may quote the address or its password.

    >>> redact_error("cannot reach http://me:hun ter's@host/api: no 'hun ter's'", "http://me:hun ter's@host")
    "cannot reach http://me:***@host/api: no '***'"
    """
    text = text.replace(uri, redact_word(uri)) if uri else text
    match = _USER_OF_WORD.search(uri)
    for password in {match["password"], unquote(match["password"])} if match else ():
        text = text.replace(password, HIDDEN) if len(password) >= _SHORTEST else text
    return redact(text)
