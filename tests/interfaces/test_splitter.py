from __future__ import annotations

from attrs import frozen

from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.splitter import Splitter, SplitterOptions


@frozen(kw_only=True)
class Silent(SplitterOptions):
    kind = "silent"

    def build(self) -> Splitter:
        raise NotImplementedError


def test_a_splitter_may_leave_its_specification_undeclared() -> None:
    assert Silent().spec(QuantSpec()) is None
