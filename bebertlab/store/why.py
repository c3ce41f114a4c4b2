"""Why a key is what it is: its parts, and how they differ from those of another key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from bebertlab.store.manifest import Manifest

KeyParts = Mapping[str, Any]

#: the part that names the keys of the inputs, by field
INPUTS = "inputs"

_ABSENT = "(absent)"
_ABOVE = " > "


@frozen(kw_only=True)
class Difference:
    """A value in which two keys differ."""

    path: str  #: e.g. "stage.options.train.epochs", or "inputs.teacher.0 > seed" for one further up
    value: object  #: of the key that is asked about
    other: object  #: of the key it is compared with


def flatten(parts: object, path: str = "") -> dict[str, object]:
    """Every value of plain data by its path.

    >>> flatten({"a": {"b": 1}, "c": [2, 3]})
    {'a.b': 1, 'c.0': 2, 'c.1': 3}
    """
    if isinstance(parts, Mapping) and parts:
        items: Iterable[tuple[object, object]] = parts.items()
    elif isinstance(parts, (list, tuple)) and parts:
        items = enumerate(parts)
    else:
        return {path: parts}
    found: dict[str, object] = {}
    for key, value in items:
        found |= flatten(value, f"{path}.{key}" if path else str(key))
    return found


def differences(parts: KeyParts, other: KeyParts, lookup: Callable[[str], KeyParts | None]) -> tuple[Difference, ...]:
    """In what two keys differ.

    An input that differs is looked up and its own differences are told instead, without those that were told nearer
    by: another seed is another seed of all that it was made from.
    """
    told: dict[tuple[object, ...], Difference] = {}
    for one in _differences(parts, other, lookup, "", set()):
        told.setdefault((one.path.rpartition(_ABOVE)[2], str(one.value), str(one.other)), one)
    return tuple(told.values())


def nearest(parts: KeyParts, kind: str, manifests: Iterable[Manifest], key: str = "") -> Manifest | None:
    """The stored artifact of a stage kind that differs in the fewest values; `key` itself is left out."""
    mine = flatten(parts)

    def distance(manifest: Manifest) -> tuple[int, str]:
        theirs = flatten(manifest.parts)
        paths = mine.keys() | theirs.keys()
        return sum(mine.get(path, _ABSENT) != theirs.get(path, _ABSENT) for path in paths), manifest.key

    return min((m for m in manifests if m.kind == kind and m.key != key), key=distance, default=None)


def _differences(
    parts: KeyParts, other: KeyParts, lookup: Callable[[str], KeyParts | None], prefix: str, seen: set[tuple[str, str]]
) -> Iterable[Difference]:
    mine, theirs = flatten(parts), flatten(other)
    for path in [*mine, *(path for path in theirs if path not in mine)]:
        value, their = mine.get(path, _ABSENT), theirs.get(path, _ABSENT)
        pair = (str(value), str(their))
        if value == their or pair in seen:
            continue
        above = (lookup(pair[0]), lookup(pair[1])) if path.startswith(f"{INPUTS}.") else (None, None)
        if above[0] is not None and above[1] is not None:
            seen.add(pair)
            yield from _differences(above[0], above[1], lookup, f"{prefix}{path}{_ABOVE}", seen)
        else:
            yield Difference(path=prefix + path, value=value, other=their)
