"""In which precision a model computes."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from attrs import evolve

from bebertlab.interfaces.batch import Outputs

#: float32 throughout, or matrix products in bfloat16; weights, gradients' sums, norms and losses stay in float32
Precision = Literal["fp32", "bf16"]

_DTYPES = {"fp32": None, "bf16": torch.bfloat16}
_CPUINFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux calls them
_FIRST_CUDA = (8, 0)  # capability of the first GPUs that multiply in bfloat16

_log = logging.getLogger(__name__)


def dtype_of(precision: Precision) -> torch.dtype | None:
    """The dtype of matrix products; None is that of their operands."""
    return _DTYPES[precision]


def in_precision(precision: Precision, device: str) -> AbstractContextManager[object]:
    """Within, a model on the device computes in that precision; warns once where that is slow."""
    if precision == "fp32":
        return nullcontext()
    if not multiplies_in_bf16(device):
        _warn(torch.device(device).type)
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def in_float(outputs: Outputs) -> Outputs:
    """Outputs in float32 for the losses."""
    if outputs.logits.dtype == torch.float32:  # then all are
        return outputs
    taps = {tap: tuple(tensor.float() for tensor in tensors) for tap, tensors in outputs.taps.items()}
    return evolve(outputs, logits=outputs.logits.float(), taps=taps)


def multiplies_in_bf16(device: str) -> bool:
    """Whether the device has instructions for products in bfloat16; True where that is not known."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device) >= _FIRST_CUDA
    if not _CPUINFO.is_file():
        return True
    lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    known = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return not _INSTRUCTIONS.isdisjoint(known.split())


@cache
def _warn(kind: str) -> None:
    name = "processor" if kind == "cpu" else "GPU"
    _log.warning(
        "train.precision is bf16, but this %s has no instructions for it: the results are right, but fp32 is faster",
        name,
    )
