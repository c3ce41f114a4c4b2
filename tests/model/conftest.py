"""A model small enough for a test, and a quantizer with known values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
    LINEAR_SITES,
    WEIGHT_SITES,
    Architecture,
    Checkpoint,
    QuantSpec,
)
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.capabilities import ParameterGroup
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer, QuantizerOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.requantize import apply_spec
from bebertlab.model.spec import quantizable_modules
from bebertlab.registry.registry import PluginSource, Registry
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.uniform import Uniform
from tests.training.conftest import examples, explode, imitate, labels_phase, set_up_training, task, tokenizer

#: fixtures of the tests that train
__all__ = ["examples", "explode", "imitate", "labels_phase", "set_up_training", "task", "tokenizer"]


@frozen(kw_only=True)
class Rounding(QuantizerOptions):
    """Rounds to multiples of a learnable step, or of a part of each row's largest value."""

    kind = "rounding"
    step: float = 0.25
    rows: bool = False

    def build(self, shape: torch.Size) -> RoundingQuantizer:
        return RoundingQuantizer(self.step, self.rows, shape)


class RoundingQuantizer(Quantizer):
    """q = round(x / s) s with s = step, or step * max |row|; gradient 1 to x."""

    alphabet = Alphabet.signed(16)

    def __init__(self, step: float, rows: bool, shape: torch.Size) -> None:
        super().__init__()
        self.row_wise = rows
        self.shape = shape
        self.calls: list[torch.Size] = []
        self.step = nn.Parameter(torch.tensor(step))

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.encode(x).decode() - x).detach() + 0.0 * self.step

    def encode(self, x: Tensor) -> Codes:
        self.calls.append(x.shape)
        step = self.step * x.abs().amax(-1, keepdim=True) if self.row_wise else self.step
        return Codes(levels=(x / step).round().to(torch.int32), step=step.detach(), alphabet=self.alphabet)

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        return (ParameterGroup(parameters=(self.step,)),)


@pytest.fixture
def rounding() -> type[Rounding]:
    return Rounding


@pytest.fixture
def codec() -> OptionsCodec:
    """Knows the rounding quantizer only."""
    return OptionsCodec(Registry().extended(((QuantizerOptions, Rounding),), PluginSource(plugin="test")))


@pytest.fixture
def everywhere() -> QuantSpec:
    """A specification with a quantizer at every site."""
    return QuantSpec(
        weights={site: Rounding() for site in WEIGHT_SITES},
        inputs={site: Rounding(step=0.125) for site in LINEAR_SITES},
        attention={site: Rounding(step=0.0625) for site in ATTENTION_SITES},
    )


@pytest.fixture
def sizes() -> Architecture:
    """Attention narrower than the hidden size, three classes, no dropout."""
    return Architecture(
        vocabulary=30,
        positions=12,
        hidden=16,
        heads=3,
        head_size=4,
        ffn=24,
        layers=2,
        classes=3,
        dropout=0.0,
        attention_dropout=0.0,
    )


@pytest.fixture
def checkpoint(sizes: Architecture) -> Checkpoint:
    """A full-precision model whose outputs are far from 0."""
    return random_checkpoint(sizes, seed=0, spread=0.3)


@pytest.fixture
def quantized(checkpoint: Checkpoint, everywhere: QuantSpec) -> Checkpoint:
    """The same weights with a quantizer at every site."""
    return apply_spec(checkpoint, everywhere)


@pytest.fixture
def split(sizes: Architecture) -> Checkpoint:
    """Two branches everywhere, whose inputs share ranges of the whole batch."""
    spec = QuantSpec(
        weights=dict.fromkeys(WEIGHT_SITES, Bwn()),
        inputs=dict.fromkeys(LINEAR_SITES, Uniform(symmetric=False)),
        branches=dict.fromkeys(quantizable_modules(sizes), 2),
    )
    model, generator = BertClassifier(sizes, spec), torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.3, generator=generator)
    return model.checkpoint()


@pytest.fixture
def make_batch() -> Callable[[int, int], Batch]:
    """Makes a batch of B sentences of at most T tokens; every second one is padded."""

    def make(sentences: int = 4, tokens: int = 7) -> Batch:
        generator = torch.Generator().manual_seed(1)
        mask = torch.ones(sentences, tokens, dtype=torch.bool)
        mask[1::2, tokens // 2 :] = False
        ids = torch.randint(1, 30, (sentences, tokens), generator=generator) * mask
        return Batch(
            positions=torch.arange(sentences),
            tokens=ids,
            segments=torch.randint(0, 2, (sentences, tokens), generator=generator) * mask,
            mask=mask,
            labels=torch.arange(sentences) % 3,
        )

    return make


@pytest.fixture
def batch(make_batch: Callable[[int, int], Batch]) -> Batch:
    return make_batch(4, 7)
