from __future__ import annotations

import pytest

from bebertlab.testing.contract import LawError, hold


def test_what_holds_passes_and_what_does_not_is_an_assertion() -> None:
    hold(True, "never seen")
    with pytest.raises(AssertionError, match="water is wet"):
        hold(False, "water is wet")
    assert issubclass(LawError, AssertionError)
