"""How a broken law is told."""

from __future__ import annotations


class LawError(AssertionError):
    """A part does not keep the contract of its role."""


def hold(holds: bool, what: str) -> None:
    """Raise with what is wrong unless it holds."""
    if not holds:
        raise LawError(what)
