"""The rows of the table."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from bebertlab.bench.clock import Ratio

Better = Literal["lower", "higher"]


@frozen(kw_only=True)
class Goal:
    """What a row measures and what it should reach."""

    name: str  #: `family.member`, to ask for it alone
    what: str  #: for people
    better: Better
    goal: float | None = None  #: None: for information
    quick: bool = True  #: also measured where time is short

    @property
    def member(self) -> str:
        """The name within the family."""
        return self.name.partition(".")[2]

    def met(self, ratio: float) -> bool | None:
        """Whether a ratio reaches the goal; None where there is none."""
        if self.goal is None:
            return None
        return ratio <= self.goal if self.better == "lower" else ratio >= self.goal


@frozen(kw_only=True)
class Row:
    """A target that was measured."""

    target: Goal
    ratio: Ratio
    note: str = ""  #: the figures behind it

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None where there is none."""
        return self.target.met(self.ratio.median)


@frozen(kw_only=True)
class Missing:
    """A target that could not be measured here."""

    target: Goal
    reason: str


Finding = Row | Missing
