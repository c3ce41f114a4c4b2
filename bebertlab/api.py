"""Everything a plugin may use. The only module of bebertlab that a plugin imports."""

from __future__ import annotations

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.artifacts.metrics import read_metrics, write_metrics
from bebertlab.artifacts.model import input_length, open_session, read_model, read_teacher, write_model
from bebertlab.data.batches import batches, group_in_order
from bebertlab.data.examples import load_examples
from bebertlab.data.metrics import accuracy_f1_metrics, accuracy_metrics, correlation_metrics, matthews_metrics
from bebertlab.data.select import carve_select
from bebertlab.errors import EnvironmentFault, UserError, suggestion, unknown
from bebertlab.files import check_file
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
    LINEAR_SITES,
    WEIGHT_SITES,
    Architecture,
    Checkpoint,
    Design,
    Site,
)
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import DistillationOptions, Phase, fractions, resolve_phases
from bebertlab.interfaces.encoder import EncoderOptions, SavedTokenizer
from bebertlab.interfaces.ensemble import (
    Ensemble,
    EnsembleOptions,
    Floats,
    Merger,
    MergerOptions,
    Round,
    Sampling,
    Verdict,
)
from bebertlab.interfaces.events import Question, StageEvent, StagePhase, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import Codes, ParameterGroup, Quantizer, QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import Measure, Splitter, SplitterOptions, Splitting
from bebertlab.interfaces.stage import (
    PLACE,
    PLACE_OR_NAME,
    Artifact,
    Codec,
    Composition,
    Context,
    Designs,
    Inputs,
    PlannedModel,
    Planning,
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
from bebertlab.model.straight_through import integer_dtype, sign, straight_through, widened, windowed, within
from bebertlab.model.tensors import check_tensors
from bebertlab.network import reach_hub
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.stages.member import MemberStage
from bebertlab.training.options import TrainOptions
from bebertlab.training.pairing import LAYERS, Layers, paired, teacher_logits

__all__ = [
    "ATTENTION_SITES",
    "LAYERS",
    "LINEAR_SITES",
    "PLACE",
    "PLACE_OR_NAME",
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
    "Design",
    "Designs",
    "DistillationOptions",
    "EncoderOptions",
    "Ensemble",
    "EnsembleOptions",
    "EnvironmentFault",
    "Floats",
    "ImporterOptions",
    "Inputs",
    "Labels",
    "Layers",
    "Loss",
    "LossOptions",
    "Measure",
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
    "Quantizer",
    "QuantizerOptions",
    "Question",
    "Round",
    "Sampling",
    "SavedTokenizer",
    "SchemeOptions",
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
    "Verdict",
    "accuracy_f1_metrics",
    "accuracy_metrics",
    "architecture_of",
    "batches",
    "branch_counts",
    "branch_prefix",
    "carve_select",
    "check_file",
    "check_tensors",
    "classifier_architecture",
    "config_number",
    "correlation_metrics",
    "environment_folder",
    "fractions",
    "group_in_order",
    "hookimpl",
    "input_length",
    "input_names",
    "integer_dtype",
    "load_examples",
    "matthews_metrics",
    "model_operations",
    "modern_names",
    "open_session",
    "paired",
    "quantizable_modules",
    "quantized_bits",
    "reach_hub",
    "read_metrics",
    "read_model",
    "read_teacher",
    "resolve_phases",
    "sign",
    "stage_input",
    "straight_through",
    "suggestion",
    "teacher_logits",
    "unknown",
    "usual_tokens",
    "widened",
    "windowed",
    "within",
    "write_metrics",
    "write_model",
]
