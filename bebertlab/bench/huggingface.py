"""What models are compared with: Hugging Face's BERT in full precision, and its fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import torch
from torch import Tensor, nn

from bebertlab.bench.measurement import timed
from bebertlab.bench.models import BenchConfig
from bebertlab.data.batches import batches
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch
from bebertlab.model.huggingface import configuration
from bebertlab.model.slice import scaled_width
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
        self.model = reference_model(config.architecture).to(config.device).train()
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
            outputs = self.model(**model_inputs(batch), labels=batch.labels)
        outputs.loss.backward()

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(torch.device(self._device).type, torch.bfloat16) if self._bf16 else nullcontext()

    def update(self) -> None:
        """Clip the gradients, update the weights and clear the gradients."""
        nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad()


def model_inputs(batch: Batch) -> dict[str, Tensor]:
    """The inputs of transformers' models by name, each (B, T)."""
    return {
        "input_ids": batch.tokens,
        "token_type_ids": batch.segments,
        "attention_mask": batch.mask.to(torch.int64),
    }


def reference_model(architecture: Architecture) -> nn.Module:
    """A classifier with random weights in training mode, whose attention is torch's `scaled_dot_product_attention`."""
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


def replace_linear_layers(model: nn.Module, replacement: Callable[[nn.Linear], nn.Module]) -> None:
    """Replace every linear layer of the encoder, in place."""
    encoder = model.get_submodule("bert.encoder")
    for path, module in [*encoder.named_modules()]:
        if isinstance(module, nn.Linear):
            encoder.set_submodule(path, replacement(module))


class TwoLinears(nn.Module):
    """The sum of two linear layers of the same input: a matrix that is split into two branches.

    Shape: (..., I) -> (..., O).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        total: Tensor = self.first(x) + self.second(x)
        return total


def split_reference_model(architecture: Architecture) -> nn.Module:
    """A reference model of half the width whose linear layers are two each: the sizes of a split model."""
    model = reference_model(architecture)
    half = scaled_width(architecture, 0.5)
    hidden, context = half.hidden, half.heads * half.head_size
    sizes = {
        "attention.self.query": (hidden, context),
        "attention.self.key": (hidden, context),
        "attention.self.value": (hidden, context),
        "attention.output.dense": (context, hidden),
        "intermediate.dense": (hidden, half.ffn),
        "output.dense": (half.ffn, hidden),
    }
    with torch.random.fork_rng(devices=[]):
        for layer in model.get_submodule("bert.encoder.layer").children():
            for path, (inputs, outputs) in sizes.items():
                layer.set_submodule(path, TwoLinears(inputs, outputs))
    return model
