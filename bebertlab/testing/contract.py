"""The error of an implementation that does not keep its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bebertlab.errors import UserError

T = TypeVar("T")


class ContractError(AssertionError):
    """An implementation does not keep the contract of its role."""


def require(holds: bool, what: str) -> None:
    """Raise `ContractError` with `what` is wrong unless the condition holds."""
    if not holds:
        raise ContractError(what)


def call(name: str, function: Callable[[], T]) -> T:
    """What a method returns; an exception other than a `UserError` breaks the contract."""
    try:
        return function()
    except (ContractError, UserError):
        raise
    except Exception as error:
        raise ContractError(f"{name} raises {type(error).__name__}: {error}") from error
