from __future__ import annotations

import json
import math

from bebertlab.training.curve import EvaluationPoint, LearningCurve, PhaseCurve, TrainingPoint
from bebertlab.training.result import Training


def test_plain_data_keep_every_digit() -> None:
    point = TrainingPoint(step=1, epoch=1 / 3, learning_rate=0.1 + 0.2, loss=2 / 3, terms={"a": 1 / 7})
    evaluation = EvaluationPoint(step=1, epoch=1 / 3, value=-math.inf, kept=True)
    phase = PhaseCurve(name="p", steps=1, epochs=1 / 3, training=(point,), evaluations=(evaluation,), measure="loss")
    training = Training(steps=1, seconds=1 / 9, teacher_seconds=None, curve=LearningCurve(phases=(phase, phase)))
    assert Training.of_data(json.loads(json.dumps(training.data()))) == training
