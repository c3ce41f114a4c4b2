from __future__ import annotations

from attrs import frozen

from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.splitter import Splitter, SplitterOptions


@frozen(kw_only=True)
class Silent(SplitterOptions):
    kind = "silent"

    def build(self) -> Splitter:
        raise NotImplementedError


def test_a_splitter_need_not_say_what_it_makes() -> None:
    assert Silent().spec(QuantSpec()) is None
