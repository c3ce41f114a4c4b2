"""Everything a plugin may use. The only module of bebertlab that a plugin imports."""

from __future__ import annotations

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.artifacts.metrics import read_metrics, write_metrics
from bebertlab.artifacts.model import evaluate_and_save, input_length, read_model, read_teacher, set_up_training
from bebertlab.data.batches import batches, group_in_order
from bebertlab.data.examples import load_examples
from bebertlab.data.metrics import accuracy_f1_metrics, accuracy_metrics, correlation_metrics, matthews_metrics
from bebertlab.data.select import split_off_select
from bebertlab.errors import SetupError, UserError, suggestion, unknown
from bebertlab.files import check_file
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
    LINEAR_SITES,
    WEIGHT_SITES,
    Architecture,
    Checkpoint,
    QuantSpec,
    Site,
)
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import DistillationOptions, Phase, fractions, resolve_phases
from bebertlab.interfaces.encoder import EncoderOptions, SavedTokenizer
from bebertlab.interfaces.ensemble import (
    Ensemble,
    EnsembleOptions,
    Floats,
    MemberResult,
    Merger,
    MergerOptions,
    SampleWeights,
    Sampling,
)
from bebertlab.interfaces.events import Question, StageEvent, StagePhase, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import Codes, ParameterGroup, Quantizer, QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import Measure, Splitter, SplitterOptions, Splitting
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
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Labels, Metrics, Split, Task, TaskOptions
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.locations import environment_folder
from bebertlab.model.bert import BertClassifier
from bebertlab.model.huggingface import (
    architecture_of,
    classifier_architecture,
    config_number,
    modern_names,
    quantized_bits,
)
from bebertlab.model.spec import branch_counts, branch_prefix, quantizable_modules
from bebertlab.model.straight_through import (
    at_least_float32,
    clipped_ste,
    integer_dtype,
    mask_gradient,
    sign,
    straight_through,
)
from bebertlab.model.tensors import check_tensors
from bebertlab.network import reach_hub
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.stages.member import MemberStage
from bebertlab.training.options import TrainOptions
from bebertlab.training.pairing import LAYERS, Layers, paired, teacher_logits

__all__ = [
    "ATTENTION_SITES",
    "EXCLUDED_FROM_KEY",
    "EXCLUDED_FROM_KEY_IF_PATH",
    "LAYERS",
    "LINEAR_SITES",
    "SELECT",
    "TRAIN",
    "VALIDATION",
    "WEIGHT_SITES",
    "Architecture",
    "Artifact",
    "Batch",
    "BertClassifier",
    "Checkpoint",
    "Codec",
    "Codes",
    "Composition",
    "Context",
    "DistillationOptions",
    "EncoderOptions",
    "Ensemble",
    "EnsembleOptions",
    "Floats",
    "ImporterOptions",
    "Inputs",
    "Labels",
    "Layers",
    "Loss",
    "LossOptions",
    "Measure",
    "MemberResult",
    "MemberStage",
    "Merger",
    "MergerOptions",
    "Metrics",
    "Options",
    "Outputs",
    "ParameterGroup",
    "Phase",
    "PlannedModel",
    "Planning",
    "QuantSpec",
    "QuantSpecs",
    "Quantizer",
    "QuantizerOptions",
    "Question",
    "SampleWeights",
    "Sampling",
    "SavedTokenizer",
    "SchemeOptions",
    "SetupError",
    "Site",
    "Split",
    "Splitter",
    "SplitterOptions",
    "Splitting",
    "StageEvent",
    "StageGroupOptions",
    "StageOptions",
    "StagePhase",
    "StudyRecord",
    "Tap",
    "Task",
    "TaskOptions",
    "TokenizerSource",
    "TrainOptions",
    "TrainingData",
    "TrialRecord",
    "TrialState",
    "UserError",
    "accuracy_f1_metrics",
    "accuracy_metrics",
    "architecture_of",
    "at_least_float32",
    "batches",
    "branch_counts",
    "branch_prefix",
    "check_file",
    "check_tensors",
    "classifier_architecture",
    "clipped_ste",
    "config_number",
    "correlation_metrics",
    "environment_folder",
    "evaluate_and_save",
    "fractions",
    "group_in_order",
    "hookimpl",
    "input_length",
    "input_names",
    "integer_dtype",
    "load_examples",
    "mask_gradient",
    "matthews_metrics",
    "model_operations",
    "modern_names",
    "paired",
    "quantizable_modules",
    "quantized_bits",
    "reach_hub",
    "read_metrics",
    "read_model",
    "read_teacher",
    "resolve_phases",
    "set_up_training",
    "sign",
    "split_off_select",
    "stage_input",
    "straight_through",
    "suggestion",
    "teacher_logits",
    "unknown",
    "usual_tokens",
    "write_metrics",
]
