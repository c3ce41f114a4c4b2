"""Splitting off `select` from a training set."""

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
_LARGE = 20  #: groups of more than 1 / _LARGE of the requested examples are taken last


def split_off_select(whole: Split, *, fraction: float, most: int) -> tuple[Split, Split]:
    """Two splits with their groups: the examples to train on, and `select`.

    `select` gets `fraction` of the examples, but at most `most`. Examples of one group stay together: those with the
    same name in `whole.groups`, if it has names, and those that share a text, see `text_groups`. A hash of their texts
    decides which groups are taken: the same ones in every run, whatever the order of the examples. Each class (each
    fifth of the scores, for regression) contributes the same fraction, as far as whole groups allow.

    Where texts that occur in many examples connect nearly all of them, those texts are ignored, the most frequent
    first, as many as necessary. Examples without such a text are taken first.

    Raises:
        UserError: all examples are one group.
    """
    target_size = max(min(round(fraction * len(whole)), most, len(whole) - 1), 1)
    grouping = _grouping(whole, target_size)
    groups = _groups(grouping, _strata(whole.labels))
    chosen = _choose(groups, target_size, np.bincount(_strata(whole.labels)))
    selected = np.array([name in chosen for name in grouping.names]) & ~grouping.common
    if not selected.any():
        raise UserError(
            f"the {len(whole)} training examples cannot be divided into train and select: their texts or groups connect"
            " them all; take more examples"
        )
    grouped = evolve(whole, groups=grouping.names)
    return grouped.take(np.flatnonzero(~selected)), grouped.take(np.flatnonzero(selected))


@frozen(kw_only=True, eq=False)
class _Group:
    """A group of examples."""

    name: str
    counts: NDArray[np.int64]  #: (classes,) examples of each class
    tied: bool = False  #: one of its examples shares a text with another group

    @property
    def size(self) -> int:
        return int(self.counts.sum())


def _grouping(whole: Split, target_size: int) -> TextGroups:
    """The strictest grouping that leaves enough examples to choose from."""
    examples = examples_of(whole.texts, whole.pairs)
    most: int | None = None
    while True:
        grouping = text_groups(examples, given=whole.groups, most=most)
        small = sum(size for size in _sizes(grouping).values() if size <= target_size)
        if small >= target_size or most == 1:
            return grouping
        most = max((most or len(whole)) // 2, 1)


def _sizes(grouping: TextGroups) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, common in zip(grouping.names, grouping.common.tolist(), strict=True):
        if not common:
            sizes[name] = sizes.get(name, 0) + 1
    return sizes


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
    return [_Group(name=name, counts=count, tied=name in tied) for name, count in counts.items()]


def _choose(groups: Sequence[_Group], target_size: int, totals: NDArray[np.int64]) -> set[str]:
    """Names of the groups that make up `select`; `totals` are the examples of each class in the training set."""
    targets = _targets(totals, target_size)
    counts = np.zeros_like(totals)
    chosen: set[str] = set()
    for approximate in (False, True):  # first groups that fit exactly, then those that bring the counts closer
        for group in _by_priority(groups, target_size):
            after = counts + group.counts
            if group.name in chosen or (after >= totals)[group.counts > 0].any():
                continue  # some examples of each class must be left for training
            closer = np.abs(targets - after).sum() < np.abs(targets - counts).sum()
            if (closer and after.sum() <= target_size) if approximate else (after <= targets).all():
                chosen.add(group.name)
                counts = after
    if not chosen and len(groups) > 1:
        chosen.add(min(groups, key=lambda group: (group.size, _hash(group.name))).name)
    return chosen


def _by_priority(groups: Sequence[_Group], target_size: int) -> Iterator[_Group]:
    large = max(target_size // _LARGE, 1)
    yield from sorted(groups, key=lambda group: (group.tied, group.size > large, _hash(group.name)))


def _targets(totals: NDArray[np.int64], target_size: int) -> NDArray[np.int64]:
    """Examples of each class in `select`: in proportion to `totals`, `target_size` in total."""
    exact = totals * target_size / totals.sum()
    targets: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rounded_up = np.argsort(targets - exact, kind="stable")[: target_size - int(targets.sum())]
    targets[rounded_up] += 1
    return targets


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
