"""Training and evaluating a model inside a stage, and recording its learning curve."""

from __future__ import annotations

from bebertlab.artifacts.model import set_up_training
from bebertlab.data.batches import batches, group_in_order
from bebertlab.data.examples import (
    Examples,
    load_examples,
)
from bebertlab.interfaces.training_state import TrainingState, TrainingStates
from bebertlab.training.curve import (
    CurveRecorder,
    EvaluationPoint,
    LearningCurve,
    PhaseCurve,
    TrainingPoint,
    read_learning_curve,
    write_learning_curve,
)
from bebertlab.training.loop import train_phases
from bebertlab.training.options import TrainOptions
from bebertlab.training.result import Training
from bebertlab.training.seed import derive_seed, seeded
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher
from bebertlab.training.teaching import plan_student, prepare_student, student_composition

__all__ = [
    "CurveRecorder",
    "EvaluationPoint",
    "Examples",
    "LearningCurve",
    "PhaseCurve",
    "Teacher",
    "TrainOptions",
    "Training",
    "TrainingPoint",
    "TrainingSetup",
    "TrainingState",
    "TrainingStates",
    "batches",
    "derive_seed",
    "group_in_order",
    "load_examples",
    "plan_student",
    "prepare_student",
    "read_learning_curve",
    "seeded",
    "set_up_training",
    "student_composition",
    "train_phases",
    "write_learning_curve",
]
