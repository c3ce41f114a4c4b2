"""What stages do with models: read one from an artifact, train it, evaluate it and write it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.accounting.size import model_size
from bebertlab.artifacts.classes import load_classifier
from bebertlab.artifacts.metrics import OPERATIONS, TOTAL, size_metrics, truncation_metrics, write_metrics
from bebertlab.data.examples import Examples, load_examples
from bebertlab.data.tokenizer import TOKENIZER_FILES, has_tokenizer, read_tokenizer, set_maximum_tokens
from bebertlab.errors import TrainingDiverged
from bebertlab.files import content_digest
from bebertlab.inference.predict import predict
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.distillation import WHOLE, Phase
from bebertlab.interfaces.ensemble import SampleWeights
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact, Context, different_parts
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.folder import CONFIGURATION, SURGERY, save_model
from bebertlab.model.requantize import apply_spec
from bebertlab.model.slice import Network, phase_networks
from bebertlab.model.weight_files import weight_files
from bebertlab.training.loop import Training
from bebertlab.training.options import TrainOptions
from bebertlab.training.setup import TeacherView, TrainingSetup
from bebertlab.training.teacher import Teacher

LOGITS_FILE = "logits.safetensors"


def read_model(artifact: Artifact, context: Context, scheme: SchemeOptions | None = None) -> BertClassifier:
    """The model of an artifact, on the device of the context; under a scheme, if there is one, instead of its own."""
    model = load_classifier(artifact.folder, context)
    if scheme is not None:
        model = BertClassifier.from_checkpoint(apply_spec(model.checkpoint(), scheme.spec()))
    return model.to(context.device)


def read_teacher(artifact: Artifact, context: Context) -> Teacher:
    """The model of an artifact as a teacher; with its own tokenizer, if there is one beside it."""
    model = load_classifier(artifact.folder, context)
    tokenizer = artifact.folder if has_tokenizer(artifact.folder) else None
    return Teacher(model, key=artifact.key, device=context.device, tokenizer=tokenizer)


def input_length(tokenizer: Path, context: Context) -> int:
    """The longest input in tokens of the model whose tokenizer is in a folder; longer ones are truncated.

    It goes with the model, as `model_max_length` of tokenizer_config.json. Where that says nothing, as in a folder that
    a stage of a plugin wrote, it is that of the recipe's encoder.
    """
    return read_tokenizer(tokenizer).maximum_tokens or context.encoder.maximum_tokens


def set_up_training(
    context: Context,
    options: TrainOptions,
    tokenizer: Path,
    *,
    teacher: Teacher | None = None,
    round: SampleWeights | None = None,
    keep_last: bool = False,
) -> TrainingSetup:
    """A training on the context's task, with the tokens of the tokenizer in a model's folder.

    A teacher of which only the logits are asked reads the tokens of its own tokenizer.
    """
    seen = TeacherView(train=_examples(TRAIN, tokenizer, context), select=_examples(SELECT, tokenizer, context))
    return TrainingSetup(
        stage=context.stage,
        task=context.task,
        train=seen.train,
        select=seen.select,
        options=options,
        seed=context.seed,
        teacher=teacher,
        teacher_view=seen if teacher is None else _teacher_view(teacher, seen, tokenizer, context),
        round=round,
        keep_last=keep_last,
        device=context.device,
        progress=context.progress,
    )


def _teacher_view(teacher: Teacher, students: TeacherView, tokenizer: Path, context: Context) -> TeacherView:
    if teacher.tokenizer is None:
        return students
    parts = (read_tokenizer(folder).parts for folder in (tokenizer, teacher.tokenizer))
    return TeacherView(
        train=_examples(TRAIN, teacher.tokenizer, context),
        select=_examples(SELECT, teacher.tokenizer, context),
        different=different_parts(*parts),
    )


def _examples(split: str, tokenizer: Path, context: Context) -> Examples:
    length = input_length(tokenizer, context)
    return load_examples(context.task, split, tokenizer, length, cache=context.cache)


def evaluated_splits(task: Task) -> tuple[str, ...]:
    """The splits that every model is evaluated on: select, validation and the further validation splits."""
    further = sorted(name for name in task.splits if name.startswith(f"{VALIDATION}_"))
    return (SELECT, VALIDATION, *further)


def evaluate_and_save(
    model: BertClassifier,
    tokenizer: Path,
    context: Context,
    *,
    training: Training | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Evaluate a model and write it, its tokenizer, logits, size and metrics into the folder of the context.

    `tokenizer` is the folder that holds it; `metrics` are further ones of the stage. Among the metrics is how many
    texts of each split lost their end; those of train count where the model was trained.

    Raises:
        TrainingDiverged: a logit is not a finite number.
    """
    model.to(context.device)
    logits = {split: split_logits(model, split, tokenizer, context) for split in evaluated_splits(context.task)}
    values = {
        f"{split}/{name}": value
        for split, rows in logits.items()
        for name, value in context.task.evaluate(split, rows.numpy()).items()
    }
    save_model(model, context.folder, context.codec, classes=context.task.classes)
    for name in TOKENIZER_FILES:
        if tokenizer != context.folder and (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, context.folder / name)
    set_maximum_tokens(context.folder, input_length(tokenizer, context))
    save_file(logits, context.folder / LOGITS_FILE)
    sizes = size_metrics(model, context.folder)
    read = [*logits, *([TRAIN] if training is not None else [])]
    truncated = truncation_metrics(
        {split: _examples(split, tokenizer, context) for split in read}, input_length(tokenizer, context), context
    )
    write_metrics({**values, **sizes, **_costs(training), **truncated, **(metrics or {})}, context.folder)


def split_logits(model: Network, split: str, tokenizer: Path, context: Context) -> Tensor:
    """The logits (N, C) of a split, by a model and the tokenizer in a folder.

    Raises:
        TrainingDiverged: a logit is not a finite number.
    """
    rows = predict(model, _examples(split, tokenizer, context), device=context.device)
    if not torch.isfinite(rows).all():
        raise TrainingDiverged(
            f"{context.stage}: the model's answers on {split} are not finite numbers; a lower learning rate may help"
        )
    return rows


def _costs(training: Training | None) -> dict[str, float]:
    if training is None:
        return {}
    costs = {"train/seconds": training.seconds, "train/steps": training.steps}
    return costs if training.teacher_seconds is None else {**costs, "train/teacher_seconds": training.teacher_seconds}


def subnet_metrics(model: BertClassifier, phase: Phase, tokenizer: Path, context: Context) -> dict[str, float]:
    """Score, size and operations of every sub-network that a phase trained on the weights of a model.

    They are called `width_0.5/validation/score`, and `depth_0.75/width_0.5/validation/score` where there are several
    depths; empty for a phase that trains the model itself. `tokenizer` is the folder that holds it.

    Raises:
        TrainingDiverged: an answer of a sub-network is not a finite number.
    """
    if phase.parts == (WHOLE,):
        return {}
    networks = phase_networks(model, phase, context.stage)
    return {
        f"{_name(phase, *part)}/{name}": value
        for part, network in zip(phase.parts, networks, strict=True)
        for name, value in _metrics(network, tokenizer, context).items()
    }


def _name(phase: Phase, width: float, depth: float) -> str:
    return f"width_{width:g}" if phase.depths == (1.0,) else f"depth_{depth:g}/width_{width:g}"


def _metrics(network: Network, tokenizer: Path, context: Context) -> dict[str, float]:
    answers = {split: split_logits(network, split, tokenizer, context) for split in evaluated_splits(context.task)}
    scores = {
        f"{split}/score": context.task.evaluate(split, logits.numpy())["score"] for split, logits in answers.items()
    }
    sizes = network.architecture
    operations = model_operations(sizes, QuantSpec(), usual_tokens(sizes)).gigaflops
    return {**scores, TOTAL: model_size(meta_model(sizes, QuantSpec())).total_mebibytes, OPERATIONS: operations}


_FILES = (CONFIGURATION, SURGERY, *TOKENIZER_FILES)


def model_digest(folder: Path) -> str:
    """sha256 of the names and contents of the files that make a model and its tokenizer, wherever the folder lies.

    Raises:
        SetupError: there are no weights, or a file is a pointer of git-lfs.
        UserError: the index of its shards is damaged.
    """
    digest = hashlib.sha256()
    for path in model_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {content_digest(path)}\n".encode())
    return digest.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files that make a model and its tokenizer, of weights one kind only, sorted by name.

    Raises:
        SetupError: there are no weights, or a file of them is missing.
        UserError: the index of its shards is damaged.
    """
    named = (folder / name for name in _FILES)
    return sorted({*filter(Path.is_file, named), *weight_files(folder)})
