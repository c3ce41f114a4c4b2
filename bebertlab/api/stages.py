"""Stages of a recipe: their inputs, what a plan knows of them, and what they leave in their folder."""

from __future__ import annotations

from bebertlab.artifacts.metrics import read_metrics, write_metrics
from bebertlab.artifacts.model import evaluate_and_save, input_length, read_model, read_teacher
from bebertlab.interfaces.stage import (
    EXCLUDED_FROM_KEY,
    EXCLUDED_FROM_KEY_IF_PATH,
    Artifact,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    Planning,
    QuantSpecs,
    StageGroupOptions,
    StageOptions,
    TokenizerSource,
    input_names,
    stage_input,
)
from bebertlab.stages.member import MemberStage

__all__ = [
    "EXCLUDED_FROM_KEY",
    "EXCLUDED_FROM_KEY_IF_PATH",
    "Artifact",
    "Codec",
    "Composition",
    "Context",
    "Inputs",
    "MemberStage",
    "PlannedModel",
    "Planning",
    "QuantSpecs",
    "StageGroupOptions",
    "StageOptions",
    "TokenizerSource",
    "evaluate_and_save",
    "input_length",
    "input_names",
    "read_metrics",
    "read_model",
    "read_teacher",
    "stage_input",
    "write_metrics",
]
