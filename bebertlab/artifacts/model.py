"""What stages do with models: read one from an artifact, train it, evaluate it and write it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from bebertlab.artifacts.classes import load_classifier
from bebertlab.artifacts.metrics import write_metrics
from bebertlab.artifacts.sizes import size_metrics
from bebertlab.artifacts.truncation import truncation_metrics
from bebertlab.interfaces.ensemble import Round
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.folder import save_model
from bebertlab.nn.surgery import redesign
from bebertlab.train.examples import TOKENIZER_FILE, Examples, load_examples
from bebertlab.train.fault import TrainingFault
from bebertlab.train.loop import Training
from bebertlab.train.networks import Network
from bebertlab.train.options import TrainOptions
from bebertlab.train.predict import predict
from bebertlab.train.session import Session
from bebertlab.train.teacher import Teacher

LOGITS_FILE = "logits.safetensors"

TOKENIZER_FILES = (TOKENIZER_FILE, "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def read_model(artifact: Artifact, context: Context, scheme: SchemeOptions | None = None) -> BertClassifier:
    """The model of an artifact, on the device of the context; under a scheme, if there is one, instead of its own."""
    model = load_classifier(artifact.folder, context)
    if scheme is not None:
        model = BertClassifier.from_checkpoint(redesign(model.checkpoint(), scheme.design()))
    return model.to(context.device)


def read_teacher(artifact: Artifact, context: Context) -> Teacher:
    """The model of an artifact as a teacher."""
    return Teacher(load_classifier(artifact.folder, context), key=artifact.key, device=context.device)


def open_session(
    context: Context,
    options: TrainOptions,
    tokenizer: Path,
    *,
    teacher: Teacher | None = None,
    round: Round | None = None,
    keep_last: bool = False,
) -> Session:
    """A training on the context's task, with the tokens of the tokenizer in a model's folder."""
    length = context.encoder.maximum_tokens
    return Session(
        stage=context.stage,
        task=context.task,
        train=load_examples(context.task, TRAIN, tokenizer, length, cache=context.cache),
        select=load_examples(context.task, SELECT, tokenizer, length, cache=context.cache),
        options=options,
        seed=context.seed,
        teacher=teacher,
        round=round,
        keep_last=keep_last,
        device=context.device,
        progress=context.progress,
    )


def evaluated_splits(task: Task) -> tuple[str, ...]:
    """The splits that every model is evaluated on: select, validation and the further validation splits."""
    further = sorted(name for name in task.splits if name.startswith(f"{VALIDATION}_"))
    return (SELECT, VALIDATION, *further)


def write_model(
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
        TrainingFault: a logit is not a finite number.
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
    save_file(logits, context.folder / LOGITS_FILE)
    sizes = size_metrics(model, context.folder)
    read = [*logits, *([TRAIN] if training is not None else [])]
    truncated = truncation_metrics(
        {split: _examples(split, tokenizer, context) for split in read}, context.encoder.maximum_tokens, context
    )
    write_metrics({**values, **sizes, **_costs(training), **truncated, **(metrics or {})}, context.folder)


def split_logits(model: Network, split: str, tokenizer: Path, context: Context) -> Tensor:
    """The logits (N, C) of a split, by a model and the tokenizer in a folder.

    Raises:
        TrainingFault: a logit is not a finite number.
    """
    rows = predict(model, _examples(split, tokenizer, context), device=context.device)
    if not torch.isfinite(rows).all():
        raise TrainingFault(
            f"{context.stage}: the model's answers on {split} are not finite numbers; a lower learning rate may help"
        )
    return rows


def _examples(split: str, tokenizer: Path, context: Context) -> Examples:
    return load_examples(context.task, split, tokenizer, context.encoder.maximum_tokens, cache=context.cache)


def _costs(training: Training | None) -> dict[str, float]:
    if training is None:
        return {}
    costs = {"train/seconds": training.seconds, "train/steps": training.steps}
    return costs if training.teacher_seconds is None else {**costs, "train/teacher_seconds": training.teacher_seconds}
