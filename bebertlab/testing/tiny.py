"""A task and a model small enough for a test; the task is learned in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.task import GENERATED, SELECT, TRAIN, VALIDATION, Answers, Labels, Metric, Split, Task
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.model.bert import BertClassifier
from bebertlab.model.parameter_names import is_norm_scale

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_GOOD = ("good", "great", "fine", "nice")
_BAD = ("bad", "awful", "poor", "weak")
_OTHER = ("the", "film", "was", "a", "plot", "and", "cast", "music", "very", "so")


def tiny_task(*, regression: bool = False, pairs: bool = False, examples: int = 96, seed: int = 0) -> Task:
    """Does a line of words have more praise than blame; as a regression, by how much.

    >>> task = tiny_task()
    >>> task.splits["train"].texts[0], task.splits["train"].labels[0]
    ('the the bad fine awful the', np.int64(0))
    """
    generator = np.random.default_rng(seed)
    sizes = {TRAIN: examples, SELECT: max(examples // 3, 4), VALIDATION: max(examples // 3, 4)}
    return Task(
        name="tiny",
        classes=() if regression else ("blame", "praise"),
        splits={name: _split(name, size, regression, pairs, generator) for name, size in sizes.items()},
        metrics=(_ERROR,) if regression else (_ACCURACY,),
        score="negative_error" if regression else "accuracy",
        caveats=(GENERATED,),
    )


def tiny_data(labels: Labels, seed: int = 0) -> TrainingData:
    """Training data with these labels (N,), for an ensemble."""
    return TrainingData(ids=tuple(f"train-{i}" for i in range(len(labels))), labels=labels, seed=seed)


def tiny_tokenizer(folder: Path) -> Path:
    """Write the tokenizer of the tiny task into a folder, as `tokenizer.json`, and return the folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: index for index, word in enumerate((*_SPECIAL, *_GOOD, *_BAD, *_OTHER))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def tiny_model(task: Task, spec: QuantSpec | None = None, *, seed: int = 0, hidden: int = 16) -> BertClassifier:
    """A two-layer BERT for the tiny task with random weights, quantized as `spec` says."""
    architecture = Architecture(
        vocabulary=len(_SPECIAL) + len(_GOOD) + len(_BAD) + len(_OTHER),
        positions=32,
        hidden=hidden,
        heads=2,
        head_size=hidden // 2,
        ffn=2 * hidden,
        layers=2,
        classes=task.outputs,
    )
    model = BertClassifier(architecture, spec or QuantSpec())
    return BertClassifier.from_checkpoint(_randomized(model.checkpoint(), seed))


def _randomized(checkpoint: Checkpoint, seed: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(seed)
    tensors = dict(checkpoint.tensors)
    for name, tensor in tensors.items():
        if is_norm_scale(name):
            tensors[name] = torch.ones_like(tensor)
        elif tensor.ndim == 2:
            tensors[name] = torch.randn(tensor.shape, generator=generator) / tensor.shape[1] ** 0.5
    return Checkpoint(architecture=checkpoint.architecture, spec=checkpoint.spec, tensors=tensors)


def _split(name: str, size: int, regression: bool, pairs: bool, generator: np.random.Generator) -> Split:
    lines = [_line(generator) for _ in range(2 * size)]
    balance = np.array([sum(w in _GOOD for w in line) - sum(w in _BAD for w in line) for line in lines[:size]])
    texts = tuple(" ".join(line) for line in lines)
    return Split(
        ids=tuple(f"{name}-{i}" for i in range(size)),
        texts=texts[:size],
        pairs=texts[size:] if pairs else None,
        labels=balance.astype(np.float32) if regression else (balance > 0).astype(np.int64),
    )


def _line(generator: np.random.Generator) -> list[str]:
    feelings = generator.choice([*_GOOD, *_BAD], size=generator.choice([1, 3]))
    return list(generator.permutation([*feelings, *generator.choice(_OTHER, size=generator.integers(1, 8))]))


def _accuracy(answers: Answers) -> float:
    return 100 * float((answers.predictions == answers.labels).mean())


def _negative_error(answers: Answers) -> float:
    return -100 * float(np.square(answers.predictions - answers.labels).mean())


_ACCURACY = Metric(name="accuracy", compute=_accuracy)
_ERROR = Metric(name="negative_error", compute=_negative_error)
