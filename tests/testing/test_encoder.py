"""The kits must pass correct encoders and importers, and report the errors of broken ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from bebertlab.api import (
    Architecture,
    Batch,
    Checkpoint,
    EncoderOptions,
    ImporterOptions,
    QuantSpec,
    SavedTokenizer,
    Site,
    Task,
    UserError,
    full_precision_checkpoint,
    random_checkpoint,
)
from bebertlab.model.bert import BertClassifier
from bebertlab.model.huggingface import configuration
from bebertlab.testing import ContractError, check_encoder, check_importer
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_binarybert import Bwn


class TinyTokenizer:
    """The tokenizer of the tiny task."""

    def __init__(self, length: int = 23) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def save_pretrained(self, folder: Path) -> None:
        tiny_tokenizer(folder)
        (folder / "tokenizer_config.json").write_text("{}")


@frozen(kw_only=True)
class Correct(EncoderOptions):
    kind: ClassVar[str] = "mine"
    maximum_tokens: int = field(default=12)

    def digest(self) -> str:
        return ""

    def tokenizer(self, texts: Iterable[str]) -> SavedTokenizer:
        return TinyTokenizer()

    def architecture(self, vocabulary: int, classes: int) -> Architecture:
        return Architecture(
            vocabulary=vocabulary, positions=12, hidden=8, heads=2, head_size=4, ffn=8, layers=1, classes=classes
        )

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        return random_checkpoint(self.architecture(vocabulary, classes), seed)

    def plan(self, task: Task) -> Architecture | None:
        return self.architecture(5, task.outputs)


class Global(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        return random_checkpoint(self.architecture(vocabulary, classes), int(torch.randint(99, ())))


class GloballySeeded(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        drawn = int(torch.get_rng_state().sum())
        return random_checkpoint(self.architecture(vocabulary, classes), seed + drawn)


class Seedless(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        return random_checkpoint(self.architecture(vocabulary, classes), 0)


class TwoClasses(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        return random_checkpoint(self.architecture(vocabulary, 2), seed)


class Quantized(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        return evolve(super().checkpoint(vocabulary, classes, seed), spec=QuantSpec(weights={Site.QUERY: Bwn()}))


class FewRows(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        return random_checkpoint(self.architecture(9, classes), seed)


class Half(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        checkpoint = super().checkpoint(vocabulary, classes, seed)
        return evolve(checkpoint, tensors={name: tensor.half() for name, tensor in checkpoint.tensors.items()})


class Infinite(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        checkpoint = super().checkpoint(vocabulary, classes, seed)
        return evolve(checkpoint, tensors={name: tensor + torch.inf for name, tensor in checkpoint.tensors.items()})


class Incomplete(Correct):
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        checkpoint = super().checkpoint(vocabulary, classes, seed)
        tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if "pooler" not in name}
        return evolve(checkpoint, tensors=tensors)


class WrongPlan(Correct):
    def plan(self, task: Task) -> Architecture:
        return evolve(self.architecture(5, task.outputs), layers=2)


class OneSegment(Correct):
    def architecture(self, vocabulary: int, classes: int) -> Architecture:
        return evolve(super().architecture(vocabulary, classes), segments=1)


class NoDigest(Correct):
    def digest(self) -> str:
        return None  # type: ignore[return-value]


class ShortTokenizer(Correct):
    def tokenizer(self, texts: Iterable[str]) -> SavedTokenizer:
        return TinyTokenizer(length=5)


class NoTokenizer(Correct):
    def tokenizer(self, texts: Iterable[str]) -> SavedTokenizer:
        tokenizer = TinyTokenizer()
        tokenizer.save_pretrained = lambda folder: None  # type: ignore[method-assign]
        return tokenizer


ENCODERS: dict[Correct, str] = {
    Global(): "changes the state of torch's global generator",
    GloballySeeded(): "the same seed gives another 'bert.embeddings",
    Seedless(): "another seed gives the same classifier",
    TwoClasses(): "the checkpoint has 2 outputs, expected 1",
    Quantized(): "an encoder is in full precision",
    FewRows(): "tokens, but 9 rows of the word embedding",
    Correct(maximum_tokens=99): "maximum_tokens is 99, but there are 12 positions",
    Half(): "is torch.float16, expected torch.float32",
    Infinite(): "has NaN or infinite values",
    Incomplete(): r"missing: bert\.pooler",
    WrongPlan(): r"plan\(\) says .*layers=2",
    OneSegment(): "allows pairs of texts, which need 2 segments; the model has 1",
    NoDigest(): r"digest\(\) returns NoneType, not a string",
    ShortTokenizer(): "the tokenizer has length 5, but ids up to",
    NoTokenizer(): "tokenizer",
}


def test_a_correct_encoder_passes() -> None:
    check_encoder(Correct())


@pytest.mark.parametrize("broken", ENCODERS, ids=lambda broken: type(broken).__name__)
def test_a_broken_encoder_is_rejected(broken: Correct) -> None:
    with pytest.raises(ContractError, match=f"^encoder 'mine': .*{ENCODERS[broken]}"):
        check_encoder(broken)


Read = Callable[[Mapping[str, Tensor], Mapping[str, Any]], Checkpoint]
QUERY, KEY = (f"bert.encoder.layer.0.attention.self.{name}.weight" for name in ("query", "key"))


@frozen(kw_only=True)
class MyImporter(ImporterOptions):
    kind: ClassVar[str] = "mine"
    function: Read

    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        return self.function(tensors, config)


def patched(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], change: Callable[[dict[str, Tensor]], object]
) -> Checkpoint:
    checkpoint = full_precision_checkpoint(tensors, config)
    values = dict(checkpoint.tensors)
    change(values)
    return evolve(checkpoint, tensors=values)


def swapping(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    names = {QUERY: KEY, KEY: QUERY}
    return full_precision_checkpoint({names.get(name, name): tensor for name, tensor in tensors.items()}, config)


def indexing(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    tensors["classifier.bias"]
    return full_precision_checkpoint(tensors, config)


def filling_in(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    bias = torch.ones(len(tensors["classifier.weight"]) if "classifier.weight" in tensors else 2)
    return full_precision_checkpoint({"classifier.bias": bias, **tensors}, config)


def popping(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    checkpoint = full_precision_checkpoint(tensors, config)
    tensors.pop("classifier.bias", None)  # type: ignore[attr-defined]
    return checkpoint


def by_order(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    first = next(iter(tensors), "")
    return patched(tensors, config, lambda values: values.update({QUERY: values[QUERY] + len(first)}))


def random(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    return patched(tensors, config, lambda values: values.update({QUERY: torch.rand_like(values[QUERY])}))


def half(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    return patched(tensors, config, lambda values: values.update({QUERY: tensors[QUERY]}))


def without_sizes(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    return full_precision_checkpoint(tensors, CONFIG)


def tuples(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    return (full_precision_checkpoint(tensors, config),)  # type: ignore[return-value]


def incomplete(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    return patched(tensors, config, lambda values: values.__delitem__(KEY))


def requiring(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    config["hidden_act"]
    return full_precision_checkpoint(tensors, config)


IMPORTERS: dict[Read, str] = {
    swapping: "its logits differ from the published ones by",
    indexing: r"without 'classifier\.bias': read\(\) raises KeyError: 'classifier\.bias', expected a UserError",
    filling_in: r"a checkpoint without 'classifier\.bias' is not refused",
    popping: r"read\(\) changes the tensors",
    by_order: "depends on the order of the tensors",
    random: "returns another checkpoint when it is called again",
    half: "query.weight' is torch.float16, expected torch.float32",
    without_sizes: "a checkpoint with another vocab_size is not refused",
    tuples: r"read\(\) returns tuple, not a Checkpoint",
    incomplete: r"missing: bert\.encoder\.layer\.0\.attention\.self\.key",
    requiring: r"with an empty config\.json: read\(\) raises KeyError",
}
MODEL: BertClassifier = tiny_model(tiny_task(), seed=3)
TENSORS: Mapping[str, Tensor] = MODEL.checkpoint().tensors
CONFIG = configuration(MODEL.architecture)


def check(function: Read) -> None:
    tokens = torch.tensor([[2, 5, 9, 3], [2, 7, 3, 0]])
    batch = Batch(
        positions=torch.arange(2),
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        mask=tokens != 0,
        labels=torch.tensor([0, 1]),
    )
    with torch.no_grad():
        logits = MODEL.eval()(batch).logits
    check_importer(MyImporter(function=function), dict(TENSORS), CONFIG, batch=batch, logits=logits)


def test_a_correct_importer_passes() -> None:
    check(full_precision_checkpoint)


def test_a_checkpoint_that_the_importer_refuses_is_not_checked() -> None:
    def refuse(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        raise UserError("not of this code")

    with pytest.raises(ContractError, match=r"^importer 'mine': not of this code"):
        check(refuse)


@pytest.mark.parametrize("broken", IMPORTERS, ids=lambda broken: broken.__name__)
def test_a_broken_importer_is_rejected(broken: Read) -> None:
    with pytest.raises(ContractError, match=f"^importer 'mine': .*{IMPORTERS[broken]}"):
        check(broken)
