"""The codec that a stage is given: it refuses parts that are not in the stage's key, whose changes would go unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import Codec
from bebertlab.recipe.identity import ALL_PARTS, inner_values

T = TypeVar("T")

Part = tuple[str, str]
"""Role and kind."""


@frozen
class WatchedCodec(Codec):
    """A codec for one run of a stage."""

    codec: Codec
    known: frozenset[Part] | None  #: parts in the keys of the stage and of what it was made from; None: all

    def dump(self, value: object) -> Any:  # noqa: ANN401 - plain data
        """Plain data of a value.

        Raises:
            UserError: a part in it is not in the key.
        """
        self._check(value)
        return self.codec.dump(value)

    def load(self, data: object, cls: type[T]) -> T:
        """The value of plain data.

        Raises:
            UserError: every fault of the data, one a line; or a part in it is not in the key.
        """
        value = self.codec.load(data, cls)
        self._check(value)
        return value

    def _check(self, value: object) -> None:
        if self.known is None:
            return
        for _, part in inner_values(value, ""):
            if isinstance(part, Options) and (part.role, part.kind) not in self.known:
                raise UserError(
                    f"it uses {part.role} '{part.kind}', which is not in its key, so that a change of it would go"
                    " unseen; its class must name it in composition()"
                )


def known_parts(keys: Iterable[Mapping[str, Any]]) -> frozenset[Part] | None:
    """The parts that are named in the parts of keys; None where a key has all of them."""
    found: set[Part] = set()
    for parts in keys:
        if ALL_PARTS in parts["made_of"]:
            return None
        found |= set(_named(parts))
    return frozenset(found)


def _named(data: object) -> Iterator[Part]:
    if isinstance(data, Mapping):
        if {"role", "kind", "revision"} <= data.keys():
            yield str(data["role"]), str(data["kind"])
        for value in data.values():
            yield from _named(value)
    elif isinstance(data, list):
        for value in data:
            yield from _named(value)
