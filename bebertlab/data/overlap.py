"""How many examples two splits have in common, and the cache of these counts on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence, Set
from functools import cache, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from attrs import asdict, field, fields_dict, frozen

from bebertlab.data.cache_files import mark_as_used, replace_file, warn_of_damage
from bebertlab.data.text_groups import PHRASE, Example, PhraseIndex, Words, examples_of
from bebertlab.errors import SetupError, UserError
from bebertlab.files import read_json
from bebertlab.formats import OVERLAP_CACHE
from bebertlab.interfaces.metric_names import overlap
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task

_log = logging.getLogger(__name__)

_HASH = "sha256"


@frozen(kw_only=True)
class Overlap:
    """What two splits have in common; case, spaces and punctuation are ignored."""

    first: str
    second: str
    size: int  #: examples of the second split
    same: int  #: examples of the second split that are in the first one
    #: further ones that share a text with a pair of the first split, or that contain one of its single texts of at
    #: least `PHRASE` words, or are contained in one
    shared: int
    short: int  #: shorter texts of the first split that occur in texts of the second

    def metrics(self) -> dict[str, float]:
        """The counts by name, e.g. "overlap/train_validation_same"; those that are 0 are omitted."""
        counts = {"same": self.same, "shared": self.shared, "short": self.short}
        return {overlap(self.first, self.second, kind): count for kind, count in counts.items() if count}

    def warning(self, *, generated: bool) -> str | None:
        """What users must know when they read a score; None if the overlap is small.

        An overlap of select with train selects by examples that were seen in training. A published validation set
        cannot be changed: only whole examples count there. The texts of generated tasks share parts in any split.
        """
        shared = self.shared if self.second == SELECT and not generated else 0
        if 100 * (self.same + shared) <= self.size:
            return None
        parts = [f"{self.same:,} of {self.size:,} examples are also in {self.first}"] if self.same else []
        parts += [f"{shared:,} of {self.size:,} examples share a text with {self.first}"] if shared else []
        return f"{self.second}: {', and '.join(parts)}"


def overlaps(task: Task, *, cache: Path | None = None) -> tuple[Overlap, ...]:
    """The overlaps of train with select, and of both with validation and each further validation split.

    They are kept in this process and, in the folder `cache`, if there is one, for other processes.
    """
    return _overlaps(_Request(data=task.digest, task=task, cache=cache))


@frozen(kw_only=True)
class _Counts:
    """Those of an `Overlap`."""

    same: int  #: examples of the second split that are in the first one
    shared: int  #: further ones that share a text with the first split
    short: int  #: short texts of the first split that occur in texts of the second


@frozen(kw_only=True)
class _Request:
    data: str
    task: Task = field(eq=False)
    cache: Path | None = field(eq=False)


@lru_cache(maxsize=4)
def _overlaps(request: _Request) -> tuple[Overlap, ...]:
    splits = request.task.splits
    names = [TRAIN, SELECT, VALIDATION, *sorted(name for name in splits if name.startswith(f"{VALIDATION}_"))]

    @cache
    def examples(name: str) -> list[Example]:
        return examples_of(splits[name].texts, splits[name].pairs)

    def counts(first: str, second: str) -> _Counts:
        def compute() -> _Counts:
            return _count(examples(first), examples(second))

        if request.cache is None:
            return compute()
        key = _key(splits[first].text_digest, splits[second].text_digest)
        return _cached(request.cache, key, compute)

    pairs = [(first, second) for first, second in combinations(names, 2) if first in (TRAIN, SELECT)]
    return tuple(
        Overlap(first=first, second=second, size=len(splits[second]), **asdict(counts(first, second)))
        for first, second in pairs
    )


def _count(these: Sequence[Example], those: Sequence[Example]) -> _Counts:
    known = set(these)
    others = Counter(example for example in those if example not in known)
    is_shared, short = _sharing(known, set(those))
    return _Counts(
        same=len(those) - others.total(),
        shared=sum(count for example, count in others.items() if example in is_shared),
        short=sum(example in short for example in these),
    )


def _sharing(these: Set[Example], those: Set[Example]) -> tuple[set[Example], set[Example]]:
    """The examples of the second set that share a text with the first; the short ones of the first in the second."""
    if any(len(example) > 1 for example in these):
        texts = {text for example in these for text in example if text}
        return {example for example in those if not texts.isdisjoint(example)}, set()
    singles, others = ({text for (text,) in examples} for examples in (these, those))
    shared, short = set[Words](), set[Words]()
    index = PhraseIndex(singles)
    for text in others:
        for phrase in index.contained(text):
            if len(phrase) >= PHRASE:
                shared.add(text)
            elif phrase != text:
                short.add(phrase)
    index = PhraseIndex(text for text in others if len(text) >= PHRASE)
    for text in singles:
        shared.update(index.contained(text))
    return {(text,) for text in shared}, {(text,) for text in short}


def _key(first: str, second: str) -> str:
    """The key of the overlap of two splits, by the digests of their texts (`Split.text_digest`).

    The version of Unicode is part of it, which decides what the words of a text are.
    """
    return _digest([OVERLAP_CACHE.number, unicodedata.unidata_version, first, second])


def _cached(folder: Path, key: str, compute: Callable[[], _Counts]) -> _Counts:
    """The counts of a key from `<folder>/<key>.json`, which is written if it is missing or damaged.

    Processes that write the same key at the same time each replace the whole file, with the same content. In a folder
    that cannot be written the counts are computed every time.
    """
    file = folder / f"{key}.json"
    if (cached := _read(file, key)) is not None:
        return cached
    counts = compute()
    content = {"format": OVERLAP_CACHE.number, **asdict(counts), _HASH: _digest([key, asdict(counts)])}
    text = json.dumps(content, indent=2) + "\n"
    try:
        replace_file(file, lambda part: part.write_text(text, encoding="utf-8"))
    except OSError as error:
        _log.info("cannot cache the overlap of splits in %s: %s", folder, error)
    return counts


def _read(file: Path, key: str) -> _Counts | None:
    """The counts in a file; None if it is missing or damaged."""
    try:
        content = read_json(file)
    except SetupError:
        return None
    except (OSError, UserError) as error:
        warn_of_damage(file, str(error).removeprefix(f"{file}: "))
        return None
    counts: dict[str, Any] = {name: content.get(name) for name in fields_dict(_Counts)}
    if content.get(_HASH) != _digest([key, counts]):
        warn_of_damage(file, "its hash does not match")
        return None
    mark_as_used(file)
    return _Counts(**counts)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
