from __future__ import annotations

import pytest

from bebertlab.errors import UserError
from bebertlab.testing.contract import ContractError, call, require


def test_require_raises_an_assertion_error_unless_the_condition_holds() -> None:
    require(True, "never seen")
    with pytest.raises(AssertionError, match="water is wet"):
        require(False, "water is wet")
    assert issubclass(ContractError, AssertionError)


def test_exceptions_break_the_contract_and_errors_of_the_user_do_not() -> None:
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(ContractError, match=r"^prepare\(\) raises KeyError: 'model'$"):
        call("prepare()", lambda: fail(KeyError("model")))
    with pytest.raises(UserError, match=r"^no model$"):
        call("prepare()", lambda: fail(UserError("no model")))
    assert call("prepare()", lambda: 3) == 3
