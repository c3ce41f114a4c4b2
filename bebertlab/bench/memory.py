"""The most memory that a training takes."""

from __future__ import annotations

import gc
import sys
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from attrs import evolve

from bebertlab.bench.huggingface import HuggingFaceSteps
from bebertlab.bench.lengths import MAXIMUM_TOKENS
from bebertlab.bench.scheme import SCHEMES
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import Steps, equal_setup, labels_phase
from bebertlab.errors import SetupError

YARDSTICK = "yardstick"  #: instead of the name of a scheme: Hugging Face's full-precision training

_STEPS = 2  # from the second on nothing new is kept
_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def training_peak_bytes(name: str, setting: Setting) -> int:
    """The most memory that a training with a batch of full length takes beyond what the process had before it.

    To be called in a process of its own: what it has done before is in the way. A training of the tiny shape goes
    first, so that libraries that are loaded at first use do not count.
    """
    torch.set_num_threads(setting.threads)
    _train(name, evolve(setting, shape="tiny", batch_size=2))
    gc.collect()
    meter: Meter = GpuMeter(setting.device) if setting.on_gpu else ProcessMeter()
    before = meter.now()
    _train(name, setting, meter)
    return meter.peak() - before


def _train(name: str, setting: Setting, meter: Meter | None = None) -> None:
    setup = equal_setup(setting, _STEPS, MAXIMUM_TOKENS)
    if name == YARDSTICK:
        yardstick = HuggingFaceSteps(setting, setup)
        _forget(meter)
        yardstick.take(_STEPS)
        return
    scheme = next(one for one in SCHEMES if one.name == name)
    with Steps(scheme.build(setting), labels_phase(), setup) as training:
        _forget(meter)
        training.take(_STEPS)


def _forget(meter: Meter | None) -> None:
    """Building a model draws its weights, which loading one does not."""
    gc.collect()
    if meter is not None:
        meter.reset()


class Meter(ABC):
    """How much memory there is in use, and the most of it since a moment."""

    @abstractmethod
    def now(self) -> int:
        """Bytes in use."""

    @abstractmethod
    def reset(self) -> None:
        """Forget the peak so far."""

    @abstractmethod
    def peak(self) -> int:
        """The most bytes in use since `reset`."""


class GpuMeter(Meter):
    """What torch has allocated on a GPU."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)

    def now(self) -> int:
        """Bytes of tensors."""
        return torch.cuda.memory_allocated(self._device)

    def reset(self) -> None:
        """Forget the peak so far."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak(self) -> int:
        """The most bytes of tensors since `reset`."""
        return torch.cuda.max_memory_allocated(self._device)


class ProcessMeter(Meter):
    """The memory of this process that is in the machine, as Linux counts it.

    Raises:
        SetupError: this is not Linux.
    """

    def __init__(self) -> None:
        if not _STATUS.is_file():
            raise SetupError(f"the memory of a process is read from {_STATUS}; {sys.platform} has none")

    def now(self) -> int:
        """Bytes in the machine."""
        return _status_bytes("VmRSS")

    def reset(self) -> None:
        """Forget the peak so far, where the system lets a process do so."""
        try:
            _RESET.write_text("5", encoding="ascii")
        except OSError:
            return

    def peak(self) -> int:
        """The most bytes since `reset`."""
        return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
