"""The parts of a key, and how they differ from those of another key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from bebertlab.interfaces.architecture import Site
from bebertlab.store.manifest import Manifest

KeyParts = Mapping[str, Any]

#: the part that holds the keys of the inputs, by field
INPUTS = "inputs"

_ABSENT = "(absent)"
_UPSTREAM = " > "
_EXPANDED = re.compile(r"(task\.|encoder\.)?made_of\.")  #: start of the path of what options expand to
_SITES = frozenset(site.value for site in Site)


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


def input_keys(manifest: Manifest, field: str | None = None) -> list[str]:
    """The keys of the inputs of a stored stage, in order; only of one field if it is named.

    Of a stage that an older version wrote, whose inputs may be written in another way, none or those that are known.
    """
    inputs = manifest.parts.get(INPUTS)
    if not isinstance(inputs, Mapping):
        return []
    values = [value for name, value in inputs.items() if field in (None, name)]
    return [str(key) for value in values for key in (value if isinstance(value, list) else [value]) if key]


def nearest(parts: KeyParts, kind: str, manifests: Iterable[Manifest], key: str = "") -> Manifest | None:
    """The stored artifact of a stage kind that differs in the fewest values, without `key` itself."""
    ours = flatten(parts)

    def distance(manifest: Manifest) -> tuple[int, str]:
        theirs = flatten(manifest.parts)
        paths = ours.keys() | theirs.keys()
        return sum(ours.get(path, _ABSENT) != theirs.get(path, _ABSENT) for path in paths), manifest.key

    return min((m for m in manifests if m.kind == kind and m.key != key), key=distance, default=None)


def main_differences(differences: Iterable[Difference]) -> tuple[tuple[Difference, ...], int]:
    """The differences that explain the others, in the terms of recipes, and the number of those left out.

    Where options differ, what they expand to (the quantizer of each site, the losses of each phase) is left out, except
    another revision or plugin file of the same part. A part of another kind is one difference, and so are equal
    differences at several sites.
    """
    groups: dict[str, list[Difference]] = {}
    for difference in differences:
        groups.setdefault(_split(difference.path)[0], []).append(difference)
    merged: dict[tuple[str, str, str], Difference] = {}
    left_out = 0
    for group in groups.values():
        kept = _explaining(group)
        left_out += len(group) - len(kept)
        for difference in _by_kind(kept):
            short = evolve(difference, path=path_label(_any_site(difference.path)))
            merged.setdefault((short.path, str(short.value), str(short.other)), short)
    return tuple(merged.values()), left_out


def path_label(path: str) -> str:
    """The path of a part of a key as recipes name it, behind the inputs that lead to its stage.

    >>> path_label("inputs.of.0 > stage.options.scheme.options.weights.kind")
    'of > scheme.weights.kind'
    >>> path_label("made_of.design.weights.query.revision"), path_label("task.options.options.size")
    ('quantization.weights.query.revision', 'task.size')
    """
    *inputs, inner = path.split(_UPSTREAM)
    names = [part for part in inner.removeprefix("made_of.").split(".") if part != "options"]
    if len(names) > 1 and names[0] == "stage" and inner.startswith("stage.options."):
        names = names[1:]
    if names[0] == "design":
        names[0] = "quantization"
    return _UPSTREAM.join([*(name.removeprefix(f"{INPUTS}.").removesuffix(".0") for name in inputs), ".".join(names)])


def _explaining(group: Sequence[Difference]) -> list[Difference]:
    """The differences of options and, where there are none, those of what options expand to."""
    options = [difference for difference in group if not _EXPANDED.match(_split(difference.path)[1])]
    if not options:
        return list(group)
    kinds = {difference.path for difference in group if difference.path.endswith(".kind")}

    def is_changed_part(difference: Difference) -> bool:
        outer, _, leaf = difference.path.rpartition(".")
        return leaf in ("revision", "file") and f"{outer}.kind" not in kinds

    return [difference for difference in group if difference in options or is_changed_part(difference)]


def _by_kind(group: Sequence[Difference]) -> list[Difference]:
    """The differences, with one instead of all those inside a part whose kind differs."""
    by_path = {difference.path: difference for difference in group}
    parts = {path.removesuffix(".kind") for path in by_path if path.endswith(".kind")}
    outermost = {part for part in parts if not any(part.startswith(f"{other}.") for other in parts)}
    merged: dict[str, Difference] = {}
    for path, difference in by_path.items():
        part = next((part for part in outermost if path == part or path.startswith(f"{part}.")), None)
        merged[part or path] = difference if part is None else _of_part(part, by_path)
    return list(merged.values())


def _of_part(part: str, by_path: Mapping[str, Difference]) -> Difference:
    """The difference of a part by its kinds; a side that has no such part may have a plain value there."""
    kinds = by_path[f"{part}.kind"]
    plain = by_path.get(part, kinds)
    return Difference(
        path=part,
        value=plain.value if kinds.value == _ABSENT else kinds.value,
        other=plain.other if kinds.other == _ABSENT else kinds.other,
    )


def _any_site(path: str) -> str:
    """The path of what options expand to with `*` for a site; options are named as they are."""
    inputs, inner = _split(path)
    if not _EXPANDED.match(inner):
        return path
    return inputs + ".".join("*" if name in _SITES else name for name in inner.split("."))


def _split(path: str) -> tuple[str, str]:
    """The inputs that lead to a stage, and the path in its key."""
    inputs, arrow, inner = path.rpartition(_UPSTREAM)
    return inputs + arrow, inner


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
