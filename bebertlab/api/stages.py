"""Stages of a recipe: their inputs, their plans, and the files that they write.

A stage that makes a model reads another one (`read_model`) or the recipe's encoder (`read_encoder`), changes it, and
ends with `evaluate_and_save`, which runs it once and writes everything that other stages read. A stage that evaluates
reads stored scores (`read_scores`), adds to `result_metrics` and ends with `write_metrics`; it runs no model. A group
is a `StageGroupOptions` that expands to stages; a member of an ensemble also writes its result (`write_member`).
"""

from __future__ import annotations

from bebertlab.artifacts.baselines import teacher_metrics
from bebertlab.artifacts.external import ExternalModel, check_classes, copy_model, inspect_model
from bebertlab.artifacts.metrics import (
    combined_metrics,
    read_metrics,
    write_metrics,
)
from bebertlab.artifacts.model import (
    check_finite_logits,
    evaluate_and_save,
    input_length,
    predict_split,
    read_encoder,
    read_model,
    read_teacher,
    subnet_metrics,
)
from bebertlab.artifacts.outputs import (
    SplitOutputs,
    evaluated_splits,
    has_probabilities,
    read_logits,
    read_scores,
    score_metrics,
    write_scores,
)
from bebertlab.artifacts.packed import PACK_METRICS, latency_metrics, pack_artifact
from bebertlab.artifacts.results import RESULT_METRICS, result_metrics
from bebertlab.interfaces.stage import (
    EXCLUDED_FROM_KEY,
    EXCLUDED_FROM_KEY_IF_PATH,
    Artifact,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    PlannedModels,
    Planning,
    ProgressReporter,
    QuantSpecs,
    StageGroupOptions,
    StageOptions,
    TokenizerSource,
    input_names,
    stage_input,
)

__all__ = [
    "EXCLUDED_FROM_KEY",
    "EXCLUDED_FROM_KEY_IF_PATH",
    "PACK_METRICS",
    "RESULT_METRICS",
    "Artifact",
    "Codec",
    "Composition",
    "Context",
    "ExternalModel",
    "Inputs",
    "PlannedModel",
    "PlannedModels",
    "Planning",
    "ProgressReporter",
    "QuantSpecs",
    "SplitOutputs",
    "StageGroupOptions",
    "StageOptions",
    "TokenizerSource",
    "check_classes",
    "check_finite_logits",
    "combined_metrics",
    "copy_model",
    "evaluate_and_save",
    "evaluated_splits",
    "has_probabilities",
    "input_length",
    "input_names",
    "inspect_model",
    "latency_metrics",
    "pack_artifact",
    "predict_split",
    "read_encoder",
    "read_logits",
    "read_metrics",
    "read_model",
    "read_scores",
    "read_teacher",
    "result_metrics",
    "score_metrics",
    "stage_input",
    "subnet_metrics",
    "teacher_metrics",
    "write_metrics",
    "write_scores",
]
