from __future__ import annotations

import pytest

from bebertlab.testing.contract import ContractError, require


def test_what_holds_passes_and_what_does_not_is_an_assertion() -> None:
    require(True, "never seen")
    with pytest.raises(AssertionError, match="water is wet"):
        require(False, "water is wet")
    assert issubclass(ContractError, AssertionError)
