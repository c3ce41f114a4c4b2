"""The outside yardstick: Hugging Face's BERT, fine-tuned as everybody does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import torch
from torch import nn

from bebertlab.bench.clock import timed
from bebertlab.bench.parts import ModelPart, mark
from bebertlab.bench.setting import Setting
from bebertlab.data.batches import batches
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch
from bebertlab.model.huggingface import configuration
from bebertlab.training.setup import TrainingSetup

_RATE, _DECAY, _NORM = 5e-5, 0.01, 1.0


class HuggingFaceSteps:
    """Full-precision fine-tuning with transformers' model and fused AdamW, the gradient's norm clipped at 1.

    Batches are padded to their longest example, or all to `padded` tokens, which is what fine-tuning scripts do.
    """

    def __init__(
        self, setting: Setting, setup: TrainingSetup, *, padded: int | None = None, bf16: bool = False
    ) -> None:
        self._device = setting.device
        self._bf16 = bf16
        self.model = _model(setting.sizes).to(setting.device).train()
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        self._adamw = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": _DECAY}, {"params": others, "weight_decay": 0.0}],
            lr=_RATE,
            fused=True,
        )
        self._batches = _endless(setup, padded)

    def take(self, steps: int) -> float:
        """Train so many steps, and say how many seconds they took."""

        def train() -> None:
            for batch in islice(self._batches, steps):
                self._train(batch)

        return timed(train, self._device)

    def _train(self, batch: Batch) -> None:
        with self._precision():
            outputs = self.model(
                input_ids=batch.tokens,
                token_type_ids=batch.segments,
                attention_mask=batch.mask.to(torch.int64),
                labels=batch.labels,
            )
        outputs.loss.backward()
        with mark(ModelPart.OPTIMIZER):
            nn.utils.clip_grad_norm_(self.model.parameters(), _NORM)
            self._adamw.step()
            self._adamw.zero_grad()

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(torch.device(self._device).type, torch.bfloat16) if self._bf16 else nullcontext()


def _model(sizes: Architecture) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        model: nn.Module = BertForSequenceClassification(BertConfig(**configuration(sizes)))
    return model


def _endless(setup: TrainingSetup, padded: int | None) -> Iterator[Batch]:
    """The batches of the epochs, each in an order of its own, as our loop takes them."""
    epoch = 0
    while True:
        plan = setup.sampler.epoch("labels", epoch, setup.options.batch_size)
        for batch in batches(setup.train, plan, device=setup.device):
            yield batch if padded is None else _padded(batch, padded)
        epoch += 1


def _padded(batch: Batch, tokens: int) -> Batch:
    """The batch with more padding."""
    room = (0, tokens - batch.tokens.shape[1])
    return Batch(
        positions=batch.positions,
        tokens=nn.functional.pad(batch.tokens, room),
        segments=nn.functional.pad(batch.segments, room),
        mask=nn.functional.pad(batch.mask, room),
        labels=batch.labels,
    )
