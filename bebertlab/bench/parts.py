"""Which part of a training step an operation belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Protocol

from torch import nn
from torch.profiler import record_function
from torch.utils.hooks import RemovableHandle

from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.linear import QuantizedLinear
from bebertlab.model.parameter_names import WEIGHT_QUANTIZER


class ModelPart(StrEnum):
    """What a step is made of; each but the last four has a forward and a backward half."""

    EMBEDDING = "embedding"
    WEIGHTS = "quantizing weights"
    ACTIVATIONS = "quantizing activations"
    PRODUCTS = "products"
    ATTENTION = "attention"
    POINTWISE = "normalisation, activation, dropout"
    LOSS = "loss"
    GRADIENTS = "adding up gradients"
    OPTIMIZER = "optimizer"
    BATCHING = "batching and the rest"
    PYTHON = "between operations"


_MARK = "part: "
_BACKWARD = "autograd::engine::evaluate_function: "
_ACCUMULATE = "AccumulateGrad"
#: classes of ours and of transformers by what their own operations do; a module inside one of them says for itself
_CLASSES = {
    "Embeddings": ModelPart.EMBEDDING,
    "BertEmbeddings": ModelPart.EMBEDDING,
    "SelfAttention": ModelPart.ATTENTION,
    "BertSelfAttention": ModelPart.ATTENTION,
    "BertClassifier": ModelPart.POINTWISE,
    "BertForSequenceClassification": ModelPart.POINTWISE,
}


class Event(Protocol):
    """What is read of an event of torch's profiler."""

    name: str
    sequence_nr: int
    cpu_parent: Any
    cpu_children: Any

    @property
    def self_cpu_time_total(self) -> float: ...  # noqa: D102
    @property
    def self_device_time_total(self) -> float: ...  # noqa: D102


def mark(part: ModelPart) -> record_function:
    """Operations inside belong to a part, unless a mark further in says otherwise."""
    return record_function(f"{_MARK}{part}")


@contextmanager
def marked(model: nn.Module) -> Iterator[None]:
    """Within, the modules of a model mark their operations."""
    handles: list[RemovableHandle] = []
    for path, module in model.named_modules():
        if (part := _part_of_module(path, module)) is not None:
            handles += _mark_forward(module, part)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _part_of_module(path: str, module: nn.Module) -> ModelPart | None:
    if isinstance(module, Quantizer):
        return ModelPart.WEIGHTS if path.endswith(WEIGHT_QUANTIZER) else ModelPart.ACTIVATIONS
    if isinstance(module, QuantizedLinear | nn.Linear):
        return ModelPart.PRODUCTS
    return _CLASSES.get(type(module).__name__)


def _mark_forward(module: nn.Module, part: ModelPart) -> list[RemovableHandle]:
    open_marks: list[record_function] = []

    def enter(*_: object) -> None:
        one = mark(part)
        one.__enter__()  # type: ignore[no-untyped-call]
        open_marks.append(one)

    def leave(*_: object) -> None:
        open_marks.pop().__exit__(None, None, None)

    return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]


def by_part(events: Iterable[Event], *, on_gpu: bool) -> Mapping[tuple[ModelPart, bool], float]:
    """Microseconds of all operations by part and by whether they belong to the backward pass."""
    listed = list(events)
    forward = {
        event.sequence_nr: _marked_part(event)
        for event in listed
        if event.sequence_nr >= 0 and _node(event) is None and not event.name.startswith(_MARK)
    }
    times: dict[tuple[ModelPart, bool], float] = {}
    for event in listed:
        place = _place(event, forward)
        time = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        times[place] = times.get(place, 0.0) + time
    return times


def _place(event: Event, forward: Mapping[int, ModelPart]) -> tuple[ModelPart, bool]:
    """The part of an event, and whether it belongs to the backward pass."""
    node = _node(event)
    if event.name.startswith(_MARK) or event is node:
        return ModelPart.PYTHON, False
    if node is None:
        return _marked_part(event), False
    if node.name.endswith(_ACCUMULATE):
        return ModelPart.GRADIENTS, True
    return forward.get(node.sequence_nr, ModelPart.POINTWISE), True


def _node(event: Event) -> Event | None:
    """The node of the backward pass that an event is, or happens in."""
    one: Event | None = event
    while one is not None and not one.name.startswith(_BACKWARD):
        one = one.cpu_parent
    return one


def _marked_part(event: Event) -> ModelPart:
    """The part of the innermost mark around an event."""
    one: Event | None = event
    while one is not None:
        if one.name.startswith(_MARK):
            return ModelPart(one.name.removeprefix(_MARK))
        if "cross_entropy" in one.name or "nll_loss" in one.name:
            return ModelPart.LOSS  # transformers computes it inside the model
        one = one.cpu_parent
    return ModelPart.BATCHING
