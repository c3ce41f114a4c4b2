"""Schemes: a whole low-bit design of a BERT."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from attrs import frozen

from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.options import Options


@frozen(kw_only=True)
class SchemeOptions(Options):
    """What YAML says of a scheme."""

    role: ClassVar[str] = "scheme"

    @abstractmethod
    def spec(self) -> QuantSpec:
        """Which quantizer sits at which site, and the hidden activation."""
