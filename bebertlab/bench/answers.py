"""What a process needs to give its first answer from a packed model."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import numpy as np
import torch
from attrs import frozen

from bebertlab.bench.data import generated_batches
from bebertlab.bench.memory import ProcessMeter
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.packed import load_packed

_TOKENS = 128
_CALLS = 3  #: later calls allocate nothing that stays


@frozen(kw_only=True)
class FirstAnswer:
    """Of a process, beyond what it took to import the package."""

    seconds: float  #: of processor time, until the first sentence was answered
    peak_bytes: int  #: of memory, until a few sentences were answered


def first_answer(folder: Path, config: BenchConfig, cache: Path) -> FirstAnswer:
    """Load a packed model and predict sentences of 128 tokens.

    Call it in a new process: what was loaded before does not count.

    Args:
        folder: of the packed model.
        config: of the benchmark.
        cache: where compiled kernels are kept, instead of the user's folder.

    Raises:
        SetupError: this is not Linux.
    """
    torch.set_num_threads(config.threads)
    os.environ["XDG_CACHE_HOME"] = str(cache)
    _ = config.codec  # imports the plugins
    (batch,) = generated_batches(np.array([_TOKENS], dtype=np.int64), 1, config)
    gc.collect()
    meter = ProcessMeter()
    before = meter.current_bytes()
    meter.reset()
    start = time.process_time()
    model = load_packed(folder, config)
    model.logits(batch)
    seconds = time.process_time() - start
    for _ in range(_CALLS - 1):
        model.logits(batch)
    return FirstAnswer(seconds=seconds, peak_bytes=meter.peak_bytes() - before)
