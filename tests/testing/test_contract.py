from __future__ import annotations

import pytest

from bebertlab.testing.contract import ContractError, require


def test_require_raises_an_assertion_error_unless_the_condition_holds() -> None:
    require(True, "never seen")
    with pytest.raises(AssertionError, match="water is wet"):
        require(False, "water is wet")
    assert issubclass(ContractError, AssertionError)
