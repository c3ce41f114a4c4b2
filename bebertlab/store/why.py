"""What a key is made of, and how its parts differ from those of another key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from bebertlab.store.manifest import Manifest

KeyParts = Mapping[str, Any]

#: the part that holds the keys of the inputs, by field
INPUTS = "inputs"

_ABSENT = "(absent)"
_UPSTREAM = " > "


@frozen(kw_only=True)
class Difference:
    """A value in which two keys differ."""

    path: str  #: e.g. "stage.options.train.epochs", or "inputs.teacher.0 > seed" for one of an upstream stage
    value: object  #: of the key in question
    other: object  #: of the other key


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
    flat: dict[str, object] = {}
    for key, value in items:
        flat |= flatten(value, f"{path}.{key}" if path else str(key))
    return flat


def differences(parts: KeyParts, other: KeyParts, lookup: Callable[[str], KeyParts | None]) -> tuple[Difference, ...]:
    """The values in which two keys differ.

    An input that differs is replaced by its own differences, found through `lookup`. A difference that an upstream
    stage shares (such as the seed) is listed once.
    """
    unique: dict[tuple[object, ...], Difference] = {}
    for difference in _differences(parts, other, lookup, "", set()):
        path = difference.path.rpartition(_UPSTREAM)[2]
        unique.setdefault((path, str(difference.value), str(difference.other)), difference)
    return tuple(unique.values())


def nearest(parts: KeyParts, kind: str, manifests: Iterable[Manifest], key: str = "") -> Manifest | None:
    """The stored artifact of a stage kind that differs in the fewest values, without `key` itself."""
    ours = flatten(parts)

    def distance(manifest: Manifest) -> tuple[int, str]:
        theirs = flatten(manifest.parts)
        paths = ours.keys() | theirs.keys()
        return sum(ours.get(path, _ABSENT) != theirs.get(path, _ABSENT) for path in paths), manifest.key

    return min((m for m in manifests if m.kind == kind and m.key != key), key=distance, default=None)


def _differences(
    parts: KeyParts, other: KeyParts, lookup: Callable[[str], KeyParts | None], prefix: str, seen: set[tuple[str, str]]
) -> Iterable[Difference]:
    ours, theirs = flatten(parts), flatten(other)
    for path in [*ours, *(path for path in theirs if path not in ours)]:
        value, other_value = ours.get(path, _ABSENT), theirs.get(path, _ABSENT)
        pair = (str(value), str(other_value))
        if value == other_value or pair in seen:
            continue
        inputs = (lookup(pair[0]), lookup(pair[1])) if path.startswith(f"{INPUTS}.") else (None, None)
        if inputs[0] is not None and inputs[1] is not None:
            seen.add(pair)
            yield from _differences(inputs[0], inputs[1], lookup, f"{prefix}{path}{_UPSTREAM}", seen)
        else:
            yield Difference(path=prefix + path, value=value, other=other_value)
