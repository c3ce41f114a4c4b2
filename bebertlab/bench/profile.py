"""Profiles of training steps: time by part of the model, and memory of its linear layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Protocol

from attrs import frozen
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.hooks import RemovableHandle

from bebertlab.bench.huggingface import HuggingFaceTraining
from bebertlab.bench.memory import ExtraTensors, extra_tensors_by_module
from bebertlab.bench.models import SCHEMES, BenchConfig, full_precision
from bebertlab.bench.training import StepwiseTraining, equal_length_setup, train_labels
from bebertlab.errors import unknown
from bebertlab.inference.devices import torch_threads
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier
from bebertlab.model.linear import QuantizedLinear
from bebertlab.model.parameter_names import WEIGHT_QUANTIZER

_WARM_UP = 2  # steps


class StepPart(StrEnum):
    """Parts of a training step; those up to `LOSS` have a forward and a backward half."""

    EMBEDDING = "embedding"
    WEIGHTS = "weight quantization"
    ACTIVATIONS = "activation quantization"
    PRODUCTS = "matrix products"
    ATTENTION = "attention"
    POINTWISE = "normalization, activation, dropout"
    LOSS = "loss"
    GRADIENTS = "gradient accumulation"
    OPTIMIZER = "optimizer"
    BATCHING = "batching and other"
    PYTHON = "between operations"


@frozen(kw_only=True)
class StepProfile:
    """The profile of one step of one model."""

    name: str  #: of the model
    milliseconds: float  #: measured without the profiler
    shares: Mapping[tuple[StepPart, bool], float]  #: of the profiled time, by part and whether backward; they add to 1
    extra_tensors: Mapping[str, ExtraTensors]  #: by linear module of a layer; empty for full precision


def profile_steps(
    only: Sequence[str], config: BenchConfig, notify: Callable[[str], None] = lambda name: None
) -> list[StepProfile]:
    """Profiles of full-precision steps (Hugging Face's, then ours) and of the schemes named in `only`.

    Without names, all installed schemes are profiled. `notify` is called with the name of what is profiled next.

    Raises:
        UserError: unknown scheme, or no plugin provides it.
    """
    names = [scheme.name for scheme in SCHEMES]
    for name in only:
        if name not in names:
            raise unknown("scheme of the benchmark", name, names)
    schemes = [scheme for scheme in SCHEMES if scheme.name in only or (not only and scheme.installed(config))]
    with torch_threads(config.threads):
        notify("full precision")
        profiles = [
            _profile_reference(config),
            _profile_model("full precision (ours)", full_precision(config), config),
        ]
        for scheme in schemes:
            notify(scheme.description)
            profiles.append(_profile_model(scheme.description, scheme.build(config), config))
    return profiles


def _profile_reference(config: BenchConfig) -> StepProfile:
    reference: Any = HuggingFaceTraining(config, equal_length_setup(config, _total_steps(config)))
    reference.update = _MarkedCall(reference.update, StepPart.OPTIMIZER)
    return _profile("full precision (Hugging Face)", reference, reference.model, config)


def _profile_model(name: str, model: BertClassifier, config: BenchConfig) -> StepProfile:
    with train_labels(model, equal_length_setup(config, _total_steps(config))) as training:
        run: Any = training.run
        run.objective.value = _MarkedCall(run.objective.value, StepPart.LOSS)
        run.optimizer.step = _MarkedCall(run.optimizer.step, StepPart.OPTIMIZER)
        return _profile(name, training, model, config)


def _profiled_steps(config: BenchConfig) -> int:
    return 2 if config.quick else 5


def _total_steps(config: BenchConfig) -> int:
    return _WARM_UP + 2 * _profiled_steps(config)


def _profile(
    name: str, training: StepwiseTraining | HuggingFaceTraining, model: nn.Module, config: BenchConfig
) -> StepProfile:
    steps = _profiled_steps(config)
    training.train(_WARM_UP)
    milliseconds = 1000 * training.train(steps) / steps
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if config.on_gpu else [])]
    with mark_modules(model), profile(activities=activities) as profiler:
        seconds = training.train(steps)
    times = dict(microseconds_by_part(profiler.events(), on_gpu=config.on_gpu))
    idle = 1e6 * seconds - sum(times.values())
    times[StepPart.PYTHON, False] = times.get((StepPart.PYTHON, False), 0.0) + max(idle, 0.0)
    total = sum(times.values())
    quantized = model if isinstance(model, BertClassifier) and model.spec.weights else None
    return StepProfile(
        name=name,
        milliseconds=milliseconds,
        shares={key: time / total for key, time in times.items()},
        extra_tensors={} if quantized is None else extra_tensors_by_module(quantized, config),
    )


class _MarkedCall:
    """Wraps a callable object: its operations count as `part`, and attributes are those of the object."""

    def __init__(self, wrapped: Any, part: StepPart) -> None:  # noqa: ANN401 - any callable
        self._wrapped, self._part = wrapped, part

    def __call__(self, *arguments: object) -> Any:  # noqa: ANN401 - as the callable
        with mark(self._part):
            return self._wrapped(*arguments)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the callable
        return getattr(self._wrapped, name)


_MARK = "part: "
_BACKWARD = "autograd::engine::evaluate_function: "
_ACCUMULATE = "AccumulateGrad"
#: classes of bebertlab and of transformers, by the part that operations outside their submodules belong to
_PART_OF_CLASS = {
    "Embeddings": StepPart.EMBEDDING,
    "BertEmbeddings": StepPart.EMBEDDING,
    "SelfAttention": StepPart.ATTENTION,
    "BertSelfAttention": StepPart.ATTENTION,
    "BertClassifier": StepPart.POINTWISE,
    "BertForSequenceClassification": StepPart.POINTWISE,
}


def mark(part: StepPart) -> record_function:
    """A context whose operations count as `part`, except in a nested mark."""
    return record_function(f"{_MARK}{part}")


@contextmanager
def mark_modules(model: nn.Module) -> Iterator[None]:
    """Mark the operations of every module of the model while the context is active."""
    handles: list[RemovableHandle] = []
    for path, module in model.named_modules():
        if (part := _part_of_module(path, module)) is not None:
            handles += _mark_forward(module, part)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _part_of_module(path: str, module: nn.Module) -> StepPart | None:
    if isinstance(module, Quantizer):
        return StepPart.WEIGHTS if path.endswith(WEIGHT_QUANTIZER) else StepPart.ACTIVATIONS
    if isinstance(module, QuantizedLinear | nn.Linear):
        return StepPart.PRODUCTS
    return _PART_OF_CLASS.get(type(module).__name__)


def _mark_forward(module: nn.Module, part: StepPart) -> list[RemovableHandle]:
    open_marks: list[record_function] = []

    def enter(*_: object) -> None:
        open_marks.append(mark(part))
        open_marks[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(*_: object) -> None:
        open_marks.pop().__exit__(None, None, None)

    return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]


class ProfilerEvent(Protocol):
    """The attributes that are read from an event of torch's profiler."""

    name: str
    sequence_nr: int
    cpu_parent: Any

    @property
    def self_cpu_time_total(self) -> float: ...  # noqa: D102
    @property
    def self_device_time_total(self) -> float: ...  # noqa: D102


def microseconds_by_part(events: Iterable[ProfilerEvent], *, on_gpu: bool) -> Mapping[tuple[StepPart, bool], float]:
    """Microseconds of all operations, by part and by whether they belong to the backward pass."""
    events = list(events)
    forward = {
        event.sequence_nr: _marked_part(event)
        for event in events
        if event.sequence_nr >= 0 and _backward_node(event) is None and not event.name.startswith(_MARK)
    }
    times: dict[tuple[StepPart, bool], float] = {}
    for event in events:
        key = _classify(event, forward)
        time = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        times[key] = times.get(key, 0.0) + time
    return times


def _classify(event: ProfilerEvent, forward: Mapping[int, StepPart]) -> tuple[StepPart, bool]:
    """The part of an event, and whether it belongs to the backward pass."""
    node = _backward_node(event)
    if event.name.startswith(_MARK) or event is node:
        return StepPart.PYTHON, False
    if node is None:
        return _marked_part(event), False
    if node.name.endswith(_ACCUMULATE):
        return StepPart.GRADIENTS, True
    return forward.get(node.sequence_nr, StepPart.POINTWISE), True


def _backward_node(event: ProfilerEvent) -> ProfilerEvent | None:
    """The node of the backward graph that an event is or belongs to."""
    return next((each for each in _with_ancestors(event) if each.name.startswith(_BACKWARD)), None)


def _marked_part(event: ProfilerEvent) -> StepPart:
    """The part of the innermost mark around an event."""
    for each in _with_ancestors(event):
        if each.name.startswith(_MARK):
            return StepPart(each.name.removeprefix(_MARK))
        if "cross_entropy" in each.name or "nll_loss" in each.name:
            return StepPart.LOSS  # transformers computes it inside the model
    return StepPart.BATCHING


def _with_ancestors(event: ProfilerEvent) -> Iterator[ProfilerEvent]:
    ancestor: ProfilerEvent | None = event
    while ancestor is not None:
        yield ancestor
        ancestor = ancestor.cpu_parent
