"""Schemes: the quantization of a whole model."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from attrs import frozen

from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.options import Options


@frozen(kw_only=True)
class SchemeOptions(Options):
    """The options of a scheme."""

    role: ClassVar[str] = "scheme"

    @abstractmethod
    def spec(self) -> QuantSpec:
        """The quantizer of each site, and the activation of the feed-forward layers."""
