"""Which trial to hand out next."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from attrs import frozen


@frozen(kw_only=True)
class Candidate:
    """A trial that waits."""

    number: int
    missing: frozenset[str]  #: keys of its stages that are not stored


def choose(waiting: Iterable[Candidate], busy: AbstractSet[str]) -> int:
    """The number of the trial to hand out next; `busy` holds the keys that other workers will make.

    First a trial that needs nothing another worker is about to make: two workers take different trunks instead of
    waiting for each other. Among those the one with the most left to do: it makes what others share, and no long
    chain is left for the end. Then the lowest number.

    >>> a, b, c = (Candidate(number=n, missing=frozenset(keys)) for n, keys in enumerate(["xy", "xyz", "uv"]))
    >>> choose([a, b, c], set()), choose([a, b, c], {"x"})
    (1, 2)

    Raises:
        ValueError: nothing waits.
    """
    best = min(waiting, key=lambda trial: (len(trial.missing & busy), -len(trial.missing), trial.number))
    return best.number
