from __future__ import annotations

from bebertlab.stages.labels import LabelsOptions
from bebertlab.stages.none import NoneOptions


def test_there_is_one_phase_without_teacher() -> None:
    (phase,) = NoneOptions().phases()
    assert phase.losses == (LabelsOptions(),)
    assert (phase.learning_rate_factor, phase.learning_rate, phase.epochs) == (1.0, None, None)
