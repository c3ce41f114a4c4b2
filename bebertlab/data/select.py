"""Carving the select split out of a training set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from bebertlab.data.text_groups import TextGroups, examples_of, text_groups
from bebertlab.errors import UserError
from bebertlab.interfaces.task import Labels, Split

_BINS = 5  #: of scores, for regression
_LARGE = 20  #: a group of more than this part (1 / _LARGE) of what is wanted is taken only where smaller ones are short


def split_off_select(whole: Split, *, fraction: float, most: int) -> tuple[Split, Split]:
    """Two splits with their groups: what is trained on, and `select`.

    `select` is to have `fraction` of the examples, and `most` at the most. Examples of one group stay together: those
    of one name in `whole.groups` where it has them, and those that share a text, see `text_groups`. Which groups are
    taken is decided by a hash of their texts: the same in every run, whatever the order of the examples. Each class
    (each fifth of the scores, for regression) gives the same part, as near as whole groups allow.

    Where nearly everything hangs together by texts that stand in many examples, those texts connect nothing: the
    most frequent ones first, as many as must be. What has none of them is taken first.

    Raises:
        UserError: everything is one group.
    """
    wanted = max(min(round(fraction * len(whole)), most, len(whole) - 1), 1)
    grouping = _grouping(whole, wanted)
    groups = _groups(grouping, _strata(whole.labels))
    chosen = _choose(groups, wanted, np.bincount(_strata(whole.labels)))
    selected = np.array([name in chosen for name in grouping.names]) & ~grouping.common
    if not selected.any():
        raise UserError(
            f"the {len(whole)} training examples cannot be divided into train and select: their texts or groups connect"
            " them all; take more examples"
        )
    named = evolve(whole, groups=grouping.names)
    return named.take(np.flatnonzero(~selected)), named.take(np.flatnonzero(selected))


@frozen(kw_only=True, eq=False)
class _Group:
    """A group that may be taken."""

    name: str
    counts: NDArray[np.int64]  #: (classes,) examples of each class
    tied: bool = False  #: an example of it shares a text with another group

    @property
    def size(self) -> int:
        return int(self.counts.sum())


def _grouping(whole: Split, wanted: int) -> TextGroups:
    """The strictest grouping that leaves enough examples to choose from."""
    examples = examples_of(whole.texts, whole.pairs)
    most: int | None = None
    while True:
        grouping = text_groups(examples, given=whole.groups, most=most)
        small = sum(size for size in _sizes(grouping).values() if size <= wanted)
        if small >= wanted or most == 1:
            return grouping
        most = max((most or len(whole)) // 2, 1)


def _sizes(grouping: TextGroups) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, common in zip(grouping.names, grouping.common.tolist(), strict=True):
        if not common:
            found[name] = found.get(name, 0) + 1
    return found


def _strata(labels: Labels) -> NDArray[np.int64]:
    if labels.dtype.kind == "i":
        return labels.astype(np.int64)
    edges = np.quantile(labels, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, labels).astype(np.int64)


def _groups(grouping: TextGroups, strata: NDArray[np.int64]) -> list[_Group]:
    counts: dict[str, NDArray[np.int64]] = {}
    tied = {name for name, is_tied in zip(grouping.names, grouping.tied.tolist(), strict=True) if is_tied}
    empty = np.zeros(int(strata.max()) + 1, dtype=np.int64)
    rows = zip(grouping.names, grouping.common.tolist(), strata.tolist(), strict=True)
    for name, common, stratum in rows:
        if not common:
            counts.setdefault(name, empty.copy())[stratum] += 1
    return [_Group(name=name, counts=found, tied=name in tied) for name, found in counts.items()]


def _choose(groups: Sequence[_Group], wanted: int, every: NDArray[np.int64]) -> set[str]:
    """Names of the groups that make up `select`; `every` has the examples of each class in the whole."""
    targets = _targets(every, wanted)
    have = np.zeros_like(every)
    chosen: set[str] = set()
    for close in (False, True):  # first what fits exactly, then what brings the counts nearer to what they should be
        for group in _in_turn(groups, wanted):
            after = have + group.counts
            if group.name in chosen or (after >= every)[group.counts > 0].any():
                continue  # a class is not taken away whole
            nearer = np.abs(targets - after).sum() < np.abs(targets - have).sum()
            if (nearer and after.sum() <= wanted) if close else (after <= targets).all():
                chosen.add(group.name)
                have = after
    if not chosen and len(groups) > 1:
        chosen.add(min(groups, key=lambda group: (group.size, _hash(group.name))).name)
    return chosen


def _in_turn(groups: Sequence[_Group], wanted: int) -> Iterator[_Group]:
    large = max(wanted // _LARGE, 1)
    yield from sorted(groups, key=lambda group: (group.tied, group.size > large, _hash(group.name)))


def _targets(every: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """Examples of each class in `select`: in proportion, and `wanted` of them together."""
    exact = every * wanted / every.sum()
    targets: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rest = np.argsort(targets - exact, kind="stable")[: wanted - int(targets.sum())]
    targets[rest] += 1
    return targets


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
