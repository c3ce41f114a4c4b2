"""Memory of training: the peak of a process or GPU, and the tensors that a computation allocates."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, frozen
from torch import nn
from torch.profiler import ProfilerActivity, profile

from bebertlab.bench.data import MAXIMUM_TOKENS
from bebertlab.bench.huggingface import HuggingFaceTraining
from bebertlab.bench.models import BenchConfig, scheme_named
from bebertlab.bench.training import equal_length_setup, train_labels
from bebertlab.errors import SetupError
from bebertlab.model.bert import BertClassifier
from bebertlab.model.linear import Linear
from bebertlab.model.parameter_names import layer_path
from bebertlab.model.spec import quantizable_modules

REFERENCE = "reference"  #: in place of the name of a scheme: Hugging Face's full-precision training

_STEPS = 2  # later steps allocate no persistent memory
_STATUS = Path("/proc/self/status")
_CLEAR_PEAK = Path("/proc/self/clear_refs")
_FLOAT_BYTES = 4
_LINEAR_TOKENS = 1  # few enough tokens that no activation is as large as a weight


def training_peak_bytes(name: str, config: BenchConfig) -> int:
    """Peak memory of training `REFERENCE` or a scheme on batches of `MAXIMUM_TOKENS`, beyond the use before it.

    Call it in a new process, because memory freed by earlier work would be reused unnoticed. A tiny model is trained
    first, so that libraries loaded on first use do not count.
    """
    torch.set_num_threads(config.threads)
    _train(name, evolve(config, shape="tiny", batch_size=2))
    gc.collect()
    meter: MemoryMeter = GpuMeter(config.device) if config.on_gpu else ProcessMeter()
    before = meter.current_bytes()
    _train(name, config, meter)
    return meter.peak_bytes() - before


def _train(name: str, config: BenchConfig, meter: MemoryMeter | None = None) -> None:
    setup = equal_length_setup(config, _STEPS, MAXIMUM_TOKENS)
    if name == REFERENCE:
        reference = HuggingFaceTraining(config, setup)
        _reset(meter)
        reference.train(_STEPS)
        return
    with train_labels(scheme_named(name).build(config), setup) as training:
        _reset(meter)
        training.train(_STEPS)


def _reset(meter: MemoryMeter | None) -> None:
    """Exclude the construction of the model: drawing random weights takes memory that loading weights does not."""
    gc.collect()
    if meter is not None:
        meter.reset()


class MemoryMeter(ABC):
    """Current and peak memory in bytes."""

    @abstractmethod
    def current_bytes(self) -> int:
        """Bytes in use."""

    @abstractmethod
    def reset(self) -> None:
        """Restart the measurement of the peak."""

    @abstractmethod
    def peak_bytes(self) -> int:
        """The most bytes in use at once since `reset`."""


class GpuMeter(MemoryMeter):
    """Memory of the tensors that torch has allocated on a GPU."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)

    def current_bytes(self) -> int:  # noqa: D102
        return torch.cuda.memory_allocated(self._device)

    def reset(self) -> None:  # noqa: D102
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak_bytes(self) -> int:  # noqa: D102
        return torch.cuda.max_memory_allocated(self._device)


class ProcessMeter(MemoryMeter):
    """Resident memory of this process, as reported by Linux.

    Raises:
        SetupError: this is not Linux.
    """

    def __init__(self) -> None:
        if not _STATUS.is_file():
            raise SetupError(f"the memory of a process is read from {_STATUS}, which {sys.platform} does not have")

    def current_bytes(self) -> int:  # noqa: D102
        return _status_bytes("VmRSS")

    def reset(self) -> None:
        """Restart the measurement of the peak, if the system permits it."""
        try:
            _CLEAR_PEAK.write_text("5", encoding="ascii")
        except OSError:
            return

    def peak_bytes(self) -> int:  # noqa: D102
        return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


@frozen(kw_only=True)
class Allocation:
    """Bytes of the tensors of at least a certain size that a computation allocated."""

    total_bytes: int  #: of all, freed or not
    peak_bytes: int  #: allocated at once

    @classmethod
    def of(cls, changes: Iterable[int]) -> Allocation:
        """From bytes allocated (positive) and freed (negative), in order.

        >>> Allocation.of([4, 4, -4, 4, -8])
        Allocation(total_bytes=12, peak_bytes=8)
        """
        total = current = peak = 0
        for change in changes:
            total += max(change, 0)
            current += change
            peak = max(peak, current)
        return cls(total_bytes=total, peak_bytes=peak)


def measure_allocation(work: Callable[[], object], smallest_bytes: int) -> Allocation:
    """What `work` allocates in tensors of at least `smallest_bytes`, measured by torch's profiler."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities, profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        events: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    changes = (event for event in events if event.get("name") == "[memory]")
    ordered = sorted(changes, key=lambda event: float(event["ts"]))
    sizes = (int(event["args"]["Bytes"]) for event in ordered)
    return Allocation.of(size for size in sizes if abs(size) >= smallest_bytes)


@frozen(kw_only=True)
class ExtraTensors:
    """Memory that a quantized linear layer allocates beyond an ordinary one, in multiples of its weight's size."""

    total: float  #: of all tensors, freed or not
    peak: float  #: allocated at once


def extra_tensors_by_module(model: BertClassifier, config: BenchConfig) -> Mapping[str, ExtraTensors]:
    """The extra tensors of every linear module of the first encoder layer, by the module's name in the layer."""
    prefix = f"{layer_path(0)}."
    paths = [path for path in quantizable_modules(model.architecture) if path.startswith(prefix)]
    return {path.removeprefix(prefix): _extra_tensors(model.get_submodule(path), config) for path in paths}


def _extra_tensors(module: nn.Module, config: BenchConfig) -> ExtraTensors:
    """Relative to the weights of all branches together."""
    weights = [p for name, p in module.named_parameters() if name.endswith("weight") and p.ndim == 2]
    outputs, inputs = weights[0].shape
    ordinary = _linear_allocation(Linear(inputs, outputs), inputs, outputs, config)
    quantized = _linear_allocation(module, inputs, outputs, config)
    ordinary_size = outputs * inputs * _FLOAT_BYTES
    quantized_size = sum(weight.numel() for weight in weights) * _FLOAT_BYTES
    return ExtraTensors(
        total=quantized.total_bytes / quantized_size - ordinary.total_bytes / ordinary_size,
        peak=quantized.peak_bytes / quantized_size - ordinary.peak_bytes / ordinary_size,
    )


def _linear_allocation(module: nn.Module, inputs: int, outputs: int, config: BenchConfig) -> Allocation:
    module.to(config.device).train()
    x = torch.linspace(-1, 1, _LINEAR_TOKENS * inputs, device=config.device)
    x = x.view(1, _LINEAR_TOKENS, inputs).requires_grad_()

    def work() -> None:
        module(x).sum().backward()

    work()  # the first batch may initialize the quantizers
    x.grad = None
    module.zero_grad(set_to_none=True)
    # one byte per weight, so that a mask counts as a quarter of a weight
    return measure_allocation(work, smallest_bytes=outputs * inputs)
