"""Groups of examples that share a text."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Words: TypeAlias = tuple[str, ...]
Example: TypeAlias = tuple[Words, ...]  #: one text, or two

#: words of the shortest phrase that identifies its sentence; shorter ones occur in unrelated sentences too
PHRASE = 3


@frozen(kw_only=True, eq=False)
class TextGroups:
    """The groups of N examples."""

    names: tuple[str, ...]  #: (N,) the same in every order of the examples
    common: NDArray[np.bool_]  #: (N,) phrases that occur in several texts and belong to none of them
    tied: NDArray[np.bool_]  #: (N,) pairs with a text that occurs in too many pairs to connect them


def words_of(text: str) -> Words:
    """The words of a text; case, spaces and punctuation are ignored, except in texts without words.

    >>> words_of("It 's good , Really !")
    ('it', 's', 'good', 'really')
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return tuple(map(sys.intern, re.findall(r"\w+", plain) or plain.split()))


def examples_of(texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Example]:
    """The words of the texts, by example."""
    columns = [texts] if pairs is None else [texts, pairs]
    return [tuple(map(words_of, example)) for example in zip(*columns, strict=True)]


class PhraseIndex:
    """Finds the texts of a collection that occur in other texts, word for word."""

    def __init__(self, texts: Iterable[Words]) -> None:
        self._texts = frozenset(text for text in texts if text)
        lengths: dict[Words, set[int]] = {}
        for text in self._texts:
            lengths.setdefault(text[:PHRASE], set()).add(len(text))
        self._lengths = {start: tuple(sorted(counts)) for start, counts in lengths.items()}

    def contained(self, text: Words) -> Iterator[Words]:
        """Every text of the collection that occurs in this one, itself included, as often as it occurs."""
        for start in range(len(text)):
            for prefix in range(1, min(PHRASE, len(text) - start) + 1):
                for length in self._lengths.get(text[start : start + prefix], ()):
                    if start + length > len(text):
                        break
                    # a prefix of fewer words than PHRASE is the whole phrase
                    if (prefix == PHRASE or length == prefix) and text[start : start + length] in self._texts:
                        yield text[start : start + length]


def whole_texts(texts: Iterable[Words]) -> dict[Words, set[Words]]:
    """For each text that occurs in a longer one: the texts that contain it and occur in no longer text.

    >>> whole_texts([("a", "good", "film"), ("good",), ("bad",)])
    {('good',): {('a', 'good', 'film')}}
    """
    unique = sorted(set(texts), key=lambda text: (-len(text), text))
    index = PhraseIndex(unique)
    wholes: dict[Words, set[Words]] = {}
    for text in unique:
        if text not in wholes:  # its phrases also occur in the longer text that contains it
            for phrase in index.contained(text):
                if phrase != text:
                    wholes.setdefault(phrase, set()).add(text)
    return wholes


def text_groups(
    examples: Sequence[Example], *, given: Sequence[str] | None = None, most: int | None = None
) -> TextGroups:
    """Groups of examples that share a text; `given` are names of further groups, by example.

    Pairs belong together if they have a text in common. A single text belongs to the longest text in which it occurs; a
    phrase of fewer than `PHRASE` words that occurs in several of them connects no examples. With `most`, texts that
    occur in more than `most` pairs or texts connect no examples either.
    """
    sets = _Sets(len(examples))
    sets.join_equal(examples)
    if given is not None:
        sets.join_equal(given)
    if any(len(example) > 1 for example in examples):
        common, tied = set[Words](), sets.join_shared(examples, most)
    else:
        common, tied = sets.join_phrases([text for (text,) in examples], most), set[Words]()
        if given is not None:  # examples with a given group stay in it
            common.clear()
    return TextGroups(
        names=sets.names(examples), common=_containing(examples, common), tied=_containing(examples, tied)
    )


def _containing(examples: Sequence[Example], texts: Set[Words]) -> NDArray[np.bool_]:
    """(N,) whether an example has one of the texts."""
    return np.array([not texts.isdisjoint(example) for example in examples], dtype=np.bool_)


class _Sets:
    """Disjoint sets of rows."""

    def __init__(self, rows: int) -> None:
        self._parents = list(range(rows))

    def join_equal(self, values: Sequence[object]) -> None:
        """Join rows of equal values."""
        first: dict[object, int] = {}
        for row, value in enumerate(values):
            self._join(first.setdefault(value, row), row)

    def join_shared(self, examples: Sequence[Example], most: int | None) -> set[Words]:
        """Join pairs with a text in common, unless it occurs in more than `most` pairs; returns such texts."""
        rows: dict[Words, list[int]] = {}
        for row, texts in enumerate(examples):
            for text in set(texts) - {()}:
                rows.setdefault(text, []).append(row)
        tied = {text for text, pairs in rows.items() if most is not None and len(pairs) > most}
        for text in rows.keys() - tied:
            for row in rows[text][1:]:
                self._join(rows[text][0], row)
        return tied

    def join_phrases(self, texts: Sequence[Words], most: int | None) -> set[Words]:
        """Join phrases with the texts in which they occur; returns those that belong to none of them."""
        first = {text: row for row, text in reversed(list(enumerate(texts)))}
        loose = set()
        for phrase, wholes in whole_texts(texts).items():
            if len(wholes) > 1 and (len(phrase) < PHRASE or (most is not None and len(wholes) > most)):
                loose.add(phrase)
                continue
            for whole in wholes:
                self._join(first[phrase], first[whole])
        return loose

    def names(self, examples: Sequence[Example]) -> tuple[str, ...]:
        """(N,) a hash of the first example of each set in alphabetical order."""
        firsts: dict[int, Example] = {}
        roots = [self._root(row) for row in range(len(examples))]
        for root, example in zip(roots, examples, strict=True):
            firsts[root] = min(firsts.get(root, example), example)
        hashed = {root: hashlib.sha256(repr(example).encode()).hexdigest()[:16] for root, example in firsts.items()}
        return tuple(hashed[root] for root in roots)

    def _root(self, row: int) -> int:
        while (parent := self._parents[row]) != row:
            self._parents[row] = row = self._parents[parent]
        return row

    def _join(self, row: int, other: int) -> None:
        self._parents[self._root(row)] = self._root(other)
