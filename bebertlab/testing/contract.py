"""How a broken law is told."""

from __future__ import annotations


class ContractError(AssertionError):
    """A part does not keep the contract of its role."""


def require(holds: bool, what: str) -> None:
    """Raise with what is wrong unless it holds."""
    if not holds:
        raise ContractError(what)
