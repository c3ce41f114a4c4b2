"""The error of an implementation that does not keep its contract."""

from __future__ import annotations


class ContractError(AssertionError):
    """An implementation does not keep the contract of its role."""


def require(holds: bool, what: str) -> None:
    """Raise `ContractError` with `what` is wrong unless the condition holds."""
    if not holds:
        raise ContractError(what)
