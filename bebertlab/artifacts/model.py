"""Models of stages: they are read from an artifact, set up for training, evaluated once and written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import overload

import torch
from torch import Tensor

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.accounting.size import model_size
from bebertlab.artifacts.classes import read_classifier
from bebertlab.artifacts.metrics import size_metrics, truncation_metrics, write_metrics
from bebertlab.artifacts.outputs import evaluated_splits, score_metrics, write_logits
from bebertlab.data.examples import Examples, load_examples
from bebertlab.data.tokenizer import (
    TOKENIZER_FILES,
    has_tokenizer,
    read_tokenizer,
    set_maximum_tokens,
    training_tokenizer,
)
from bebertlab.errors import TrainingDiverged
from bebertlab.files import content_digest
from bebertlab.inference.predict import predict
from bebertlab.inference.prepare import InferenceModel, prepare
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.distillation import WHOLE, Phase
from bebertlab.interfaces.ensemble import SampleWeights
from bebertlab.interfaces.metric_names import (
    GIGAFLOPS,
    SCORE,
    SELECT_SCORE,
    SIZE_TOTAL,
    TRAIN_SECONDS,
    TRAIN_STEPS,
    TRAIN_TEACHER_SECONDS,
    split_metric,
)
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact, Context, different_parts
from bebertlab.interfaces.task import SELECT, TRAIN
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.folder import CONFIGURATION, DESCRIPTION, save_model
from bebertlab.model.quantizer_codes import check_activation_codes
from bebertlab.model.requantize import apply_spec
from bebertlab.model.slice import Network, phase_networks
from bebertlab.model.weight_files import weight_files
from bebertlab.training.curve import LearningCurve, write_learning_curve
from bebertlab.training.options import TrainOptions
from bebertlab.training.result import Training
from bebertlab.training.seed import derive_seed
from bebertlab.training.setup import TeacherView, TrainingSetup
from bebertlab.training.teacher import Teacher


def read_encoder(context: Context) -> BertClassifier:
    """The model of the recipe's encoder with a new classifier, drawn with the seed of the context, on its device.

    Writes the tokenizer of the encoder into the folder of the context, where `set_up_training` and
    `evaluate_and_save` read it: `set_up_training(context, options, context.folder)`.
    """
    tokenizer = training_tokenizer(context.encoder, context.task)
    tokenizer.save_pretrained(context.folder)
    set_maximum_tokens(context.folder, context.encoder.maximum_tokens)
    seed = derive_seed(context.seed, "encoder")
    checkpoint = context.encoder.checkpoint(len(tokenizer), context.task.outputs, seed)
    return BertClassifier.from_checkpoint(checkpoint).to(context.device)


def read_model(artifact: Artifact, context: Context, scheme: SchemeOptions | None = None) -> BertClassifier:
    """The model of an artifact, on the device of the context; under a scheme, if given, instead of its own quantizers.

    Raises:
        SetupError: a file of the model is missing.
        UserError: a file is damaged, or the model is not one for the task or for the scheme.
    """
    checkpoint = read_classifier(artifact.folder, context)
    if scheme is not None:
        checkpoint = apply_spec(checkpoint, scheme.spec())
    return BertClassifier.from_checkpoint(checkpoint).to(context.device)


@overload
def read_teacher(artifact: Artifact, context: Context) -> Teacher: ...
@overload
def read_teacher(artifact: Artifact | None, context: Context) -> Teacher | None: ...
def read_teacher(artifact: Artifact | None, context: Context) -> Teacher | None:
    """The model of an artifact as a teacher, with its own tokenizer if it has one; None where there is no artifact.

    Raises:
        SetupError: a file of the model is missing.
        UserError: a file is damaged, or the model is not one for the task.
    """
    if artifact is None:
        return None
    model = BertClassifier.from_checkpoint(read_classifier(artifact.folder, context))
    tokenizer = artifact.folder if has_tokenizer(artifact.folder) else None
    return Teacher(model, key=artifact.key, device=context.device, tokenizer=tokenizer)


def input_length(tokenizer: Path, context: Context) -> int:
    """The longest input in tokens of the model whose tokenizer is in a folder; longer inputs are truncated.

    It belongs to the model, as `model_max_length` of tokenizer_config.json. Where that is not set, as in a folder that
    a stage of a plugin wrote, it is that of the recipe's encoder.
    """
    return read_tokenizer(tokenizer).maximum_tokens or context.encoder.maximum_tokens


def set_up_training(
    context: Context,
    options: TrainOptions,
    tokenizer: Path,
    *,
    teacher: Teacher | None = None,
    sample_weights: SampleWeights | None = None,
    keep_last: bool = False,
) -> TrainingSetup:
    """What `train_phases` needs to train a model on the task of the context.

    Args:
        context: gives the task, the seed, the device and the progress
        options: how to train
        tokenizer: folder of the model's tokenizer, usually that of the artifact that the model was read from
        teacher: for losses that need one; if they read only its logits, it reads tokens of its own tokenizer
        sample_weights: what a member of an ensemble trains on; None: every example once per epoch
        keep_last: `Training.last` holds the last state where that is not the best one
    """
    student = TeacherView(train=_examples(TRAIN, tokenizer, context), select=_examples(SELECT, tokenizer, context))
    return TrainingSetup(
        stage=context.stage,
        task=context.task,
        train=student.train,
        select=student.select,
        options=options,
        seed=context.seed,
        teacher=teacher,
        teacher_view=student if teacher is None else _teacher_view(teacher, student, tokenizer, context),
        round=sample_weights,
        keep_last=keep_last,
        device=context.device,
        progress=context.progress,
        warn=context.warn,
        states=context.states,
    )


def _teacher_view(teacher: Teacher, student: TeacherView, tokenizer: Path, context: Context) -> TeacherView:
    if teacher.tokenizer is None:
        return student
    parts = (read_tokenizer(folder).parts for folder in (tokenizer, teacher.tokenizer))
    return TeacherView(
        train=_examples(TRAIN, teacher.tokenizer, context),
        select=_examples(SELECT, teacher.tokenizer, context),
        different=different_parts(*parts),
    )


def _examples(split: str, tokenizer: Path, context: Context) -> Examples:
    length = input_length(tokenizer, context)
    return load_examples(context.task, split, tokenizer, length, cache=context.cache)


def evaluate_and_save(
    model: BertClassifier,
    tokenizer: Path,
    context: Context,
    *,
    training: Training | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Run a model once on every evaluated split, and write it and its outputs into the folder of the context.

    Every stage that makes a model ends with it, and inference runs only here: stages that merge or evaluate read what
    it stores. It writes the model, its tokenizer, its logits, and `metrics.json` with the task's metrics of every split
    (`validation/score`), sizes, operations, the cost of the training, and how many texts of each split were truncated
    (those of train where the model was trained). The learning curve of the training becomes `learning_curve.json`.

    Args:
        model: any model for the task; it stays in evaluation mode on the device of the context
        tokenizer: folder of its tokenizer, which may be the folder of the context
        context: of the stage
        training: duration and records of its training, as `train_phases` returns it
        metrics: further metrics of the stage

    Raises:
        BrokenQuantizer: a quantizer breaks its contract on a weight, or on an activation of the first batch.
        TrainingDiverged: a logit is NaN or infinite.
    """
    prepared = prepare(model.to(context.device))
    with check_activation_codes(model, prepared.network):
        logits = {split: predict_split(prepared, split, tokenizer, context) for split in evaluated_splits(context.task)}
    outputs = {split: rows.numpy() for split, rows in logits.items()}
    save_model(model, context.folder, context.codec, classes=context.task.classes)
    for name in TOKENIZER_FILES:
        if tokenizer != context.folder and (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, context.folder / name)
    set_maximum_tokens(context.folder, input_length(tokenizer, context))
    write_logits(outputs, context.folder)
    splits = [*logits, *([TRAIN] if training is not None else [])]
    truncated = truncation_metrics(
        {split: _examples(split, tokenizer, context) for split in splits}, input_length(tokenizer, context), context
    )
    scores, sizes = score_metrics(outputs, context.task), size_metrics(model, context.folder)
    write_metrics({**scores, **sizes, **_costs(training), **truncated, **(metrics or {})}, context.folder)
    if training is not None and training.curve.phases:
        _write_curve(training.curve, scores[SELECT_SCORE], context)


def _write_curve(curve: LearningCurve, select_score: float, context: Context) -> None:
    """Write a learning curve; report the score of a last phase that was not evaluated while it trained."""
    if not curve.phases[-1].evaluations:
        curve = curve.with_final_score(select_score)
        context.progress(1.0, "evaluated", {SELECT_SCORE: select_score}, step=curve.steps, epoch=curve.epochs)
    write_learning_curve(curve, context.folder)


def predict_split(model: Network | InferenceModel, split: str, tokenizer: Path, context: Context) -> Tensor:
    """The logits (N, C) of a model on a split in dataset order, with the tokenizer in a folder.

    Raises:
        TrainingDiverged: a logit is NaN or infinite.
    """
    rows = predict(model, _examples(split, tokenizer, context), device=context.device)
    return check_finite_logits(rows, split, context)


def check_finite_logits(logits: Tensor, split: str, context: Context) -> Tensor:
    """The logits of a split, if all are finite.

    Raises:
        TrainingDiverged: one is NaN or infinite; names the stage and the split.
    """
    if not torch.isfinite(logits).all():
        raise TrainingDiverged(
            f"{context.stage}: the logits on {split} contain NaN or inf; a lower learning rate may help"
        )
    return logits


def _costs(training: Training | None) -> dict[str, float]:
    if training is None:
        return {}
    costs = {TRAIN_SECONDS: training.seconds, TRAIN_STEPS: training.steps}
    return costs if training.teacher_seconds is None else {**costs, TRAIN_TEACHER_SECONDS: training.teacher_seconds}


def subnet_metrics(model: BertClassifier, phase: Phase, tokenizer: Path, context: Context) -> dict[str, float]:
    """Scores, size and operations of every sub-network that a phase trained within a model.

    Their names are `width_0.5/validation/score`, and `depth_0.75/width_0.5/validation/score` where there are several
    depths; empty for a phase that trains the model itself. `tokenizer` is the folder of the model's tokenizer.

    Raises:
        TrainingDiverged: a logit of a sub-network is NaN or infinite.
    """
    if phase.subnets == (WHOLE,):
        return {}
    networks = phase_networks(model, phase, context.stage)
    return {
        f"{_name(phase, *part)}/{name}": value
        for part, network in zip(phase.subnets, networks, strict=True)
        for name, value in _metrics(network, tokenizer, context).items()
    }


def _name(phase: Phase, width: float, depth: float) -> str:
    return f"width_{width:g}" if phase.depths == (1.0,) else f"depth_{depth:g}/width_{width:g}"


def _metrics(network: Network, tokenizer: Path, context: Context) -> dict[str, float]:
    outputs = {
        split: predict_split(network, split, tokenizer, context).numpy() for split in evaluated_splits(context.task)
    }
    metrics = score_metrics(outputs, context.task)
    scores = {name: metrics[name] for name in (split_metric(split, SCORE) for split in outputs)}
    sizes = network.architecture
    operations = model_operations(sizes, QuantSpec(), usual_tokens(sizes)).gigaflops
    return {**scores, SIZE_TOTAL: model_size(meta_model(sizes, QuantSpec())).total_mebibytes, GIGAFLOPS: operations}


_FILES = (CONFIGURATION, DESCRIPTION, *TOKENIZER_FILES)


def model_digest(folder: Path) -> str:
    """sha256 of the names and contents of the files that make up a model and its tokenizer, whatever their folder.

    Raises:
        SetupError: there are no weights, or a file is a pointer of git-lfs.
        UserError: the index of its shards is damaged.
    """
    digest = hashlib.sha256()
    for path in model_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {content_digest(path)}\n".encode())
    return digest.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files that make up a model and its tokenizer, only the weights that are read, sorted by name.

    Raises:
        SetupError: there are no weights, or a file of them is missing.
        UserError: the index of its shards is damaged.
    """
    named = (folder / name for name in _FILES)
    return sorted({*filter(Path.is_file, named), *weight_files(folder)})
