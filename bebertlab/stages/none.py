"""No distillation."""

from __future__ import annotations

from attrs import frozen

from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.stages.labels import LabelsOptions


@frozen(kw_only=True)
class NoneOptions(DistillationOptions):
    """No teacher: one phase on gold labels."""

    kind = "none"

    def phases(self) -> tuple[Phase, ...]:
        """A single phase."""
        return (Phase(name="labels", losses=(LabelsOptions(),)),)
