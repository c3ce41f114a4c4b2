"""How many examples two splits have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from functools import lru_cache
from itertools import combinations

from attrs import field, frozen

from bebertlab.data.text_groups import PHRASE, Example, PhraseIndex, Words, examples_of
from bebertlab.interfaces.metric_names import overlap
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task


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
        """The counts by name, e.g. "overlap/train_validation_same"; those that are 0 are left out."""
        counts = {"same": self.same, "shared": self.shared, "short": self.short}
        return {overlap(self.first, self.second, kind): count for kind, count in counts.items() if count}

    def warning(self, *, generated: bool) -> str | None:
        """What users must know when they read a score; None if the overlap is small.

        An overlap of select with train lets it choose by what was seen in training. A published validation set cannot
        be changed: only whole examples count there. The texts of generated tasks share parts in any split.
        """
        shared = self.shared if self.second == SELECT and not generated else 0
        if 100 * (self.same + shared) <= self.size:
            return None
        parts = [f"{self.same:,} of {self.size:,} examples are also in {self.first}"] if self.same else []
        parts += [f"{shared:,} of {self.size:,} examples share a text with {self.first}"] if shared else []
        return f"{self.second}: {', and '.join(parts)}"


def overlaps(task: Task) -> tuple[Overlap, ...]:
    """The overlaps of train with select, and of both with validation and each further validation split."""
    return _overlaps(_Request(data=task.digest, task=task))


@frozen(kw_only=True)
class _Request:
    data: str
    task: Task = field(eq=False)


@lru_cache(maxsize=4)
def _overlaps(request: _Request) -> tuple[Overlap, ...]:
    splits = request.task.splits
    names = [TRAIN, SELECT, VALIDATION, *sorted(name for name in splits if name.startswith(f"{VALIDATION}_"))]
    examples = {name: examples_of(splits[name].texts, splits[name].pairs) for name in names}
    pairs = [(first, second) for first, second in combinations(names, 2) if first in (TRAIN, SELECT)]
    return tuple(_overlap(first, second, examples[first], examples[second]) for first, second in pairs)


def _overlap(first: str, second: str, these: Sequence[Example], those: Sequence[Example]) -> Overlap:
    known = set(these)
    others = Counter(example for example in those if example not in known)
    is_shared, short = _sharing(known, set(those))
    return Overlap(
        first=first,
        second=second,
        size=len(those),
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
