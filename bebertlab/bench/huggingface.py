"""The reference that training is compared with: full-precision fine-tuning of Hugging Face's BERT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import torch
from torch import nn

from bebertlab.bench.measurement import timed
from bebertlab.bench.models import BenchConfig
from bebertlab.data.batches import batches
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch
from bebertlab.model.huggingface import configuration
from bebertlab.training.setup import TrainingSetup

_LEARNING_RATE, _WEIGHT_DECAY, _GRADIENT_NORM = 5e-5, 0.01, 1.0


class HuggingFaceTraining:
    """Full-precision training of transformers' BERT with fused AdamW and gradients clipped to norm 1.

    Batches are padded to their longest example, or all to `padded` tokens, as fine-tuning scripts do.
    """

    def __init__(
        self, config: BenchConfig, setup: TrainingSetup, *, padded: int | None = None, bf16: bool = False
    ) -> None:
        self._device = config.device
        self._bf16 = bf16
        self.model = _model(config.architecture).to(config.device).train()
        matrices = [parameter for parameter in self.model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.model.parameters() if parameter.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": _WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
            lr=_LEARNING_RATE,
            fused=True,
        )
        self._batches = _endless_batches(setup, padded)

    def train(self, steps: int) -> float:
        """Train for `steps` steps and return the seconds they took."""

        def run() -> None:
            for batch in islice(self._batches, steps):
                self._forward_backward(batch)
                self.update()

        return timed(run, self._device)

    def _forward_backward(self, batch: Batch) -> None:
        with self._autocast():
            outputs = self.model(
                input_ids=batch.tokens,
                token_type_ids=batch.segments,
                attention_mask=batch.mask.to(torch.int64),
                labels=batch.labels,
            )
        outputs.loss.backward()

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(torch.device(self._device).type, torch.bfloat16) if self._bf16 else nullcontext()

    def update(self) -> None:
        """Clip the gradients, update the weights and clear the gradients."""
        nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad()


def _model(architecture: Architecture) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        model: nn.Module = BertForSequenceClassification(BertConfig(**configuration(architecture)))
    return model


def _endless_batches(setup: TrainingSetup, padded: int | None) -> Iterator[Batch]:
    """The batches of one epoch after another, as in our training loop."""
    epoch = 0
    while True:
        plan = setup.sampler.epoch("labels", epoch, setup.options.batch_size)
        for batch in batches(setup.train, plan, device=setup.device):
            yield batch if padded is None else _pad(batch, padded)
        epoch += 1


def _pad(batch: Batch, tokens: int) -> Batch:
    padding = (0, tokens - batch.tokens.shape[1])
    return Batch(
        positions=batch.positions,
        tokens=nn.functional.pad(batch.tokens, padding),
        segments=nn.functional.pad(batch.segments, padding),
        mask=nn.functional.pad(batch.mask, padding),
        labels=batch.labels,
    )
