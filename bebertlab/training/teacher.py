"""The teacher: computes only what a loss reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.data.examples import Examples
from bebertlab.inference.predict import predict
from bebertlab.inference.prepare import InferenceModel, prepare
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.model.bert import BertClassifier
from bebertlab.model.precision import Precision


class Teacher:
    """A trained model without gradients, in evaluation mode except in `answer` with dropout.

    Where a phase reads only the teacher's logits, `logits` computes them once for the whole split (or for the subset
    that a member of an ensemble trains on), in one evaluation pass with separate batches, and they are looked up by
    position. All stages of the process that have the same teacher (by its key in the store) and the same data share
    them. A quantizer whose range is that of the whole batch sees other batches in that pass than in training; its
    ranges are those of the pass. Where a phase reads taps too, the teacher runs in every step on the student's batch.
    """

    def __init__(
        self, model: BertClassifier, *, key: str | None = None, device: str = "cpu", tokenizer: Path | None = None
    ) -> None:
        self.tokenizer = tokenizer  #: folder of its tokenizer; None: it reads the student's tokens
        self.architecture = model.architecture
        self._model = model.to(device).eval()
        self._key: object = key if key is not None else object()
        self._device = device
        self._prepared: dict[bool, InferenceModel] = {}  # by dropout, inside `at_work`
        self.seconds = 0.0  #: spent in the teacher; on a GPU without waiting for the device

    def logits(
        self, examples: Examples, precision: Precision = "fp32", subset: NDArray[np.int64] | None = None
    ) -> Tensor:
        """The logits (N, C) of a whole split, without dropout, on the teacher's device.

        With a subset of its positions only those are computed; the others are NaN.
        """
        slot = _slot(self._key, examples, precision, None if subset is None else subset.tobytes())
        if not slot:
            start = perf_counter()
            needed = examples if subset is None else examples.take(subset)
            logits = predict(self._model, needed, device=self._device, precision=precision)
            if subset is not None:
                whole = torch.full((len(examples), logits.shape[1]), torch.nan)
                logits = whole.index_copy_(0, torch.from_numpy(subset), logits)
            slot.append(logits.to(self._device))
            self.seconds += perf_counter() - start
        return slot[0]

    @contextmanager
    def at_work(self, precision: Precision = "fp32") -> Iterator[None]:
        """Quantize the constant weights once for all calls of `answer` in this context, in a precision."""
        before, self._prepared = self._prepared, {False: prepare(self._model, precision)}
        try:
            yield
        finally:
            self._prepared = before

    def answer(self, batch: Batch, taps: frozenset[Tap], *, dropout: bool = False) -> Outputs:
        """Logits and taps of a batch; with `dropout` the teacher's dropout is active and differs in every call."""
        start = perf_counter()
        prepared = self._prepared.get(False) or prepare(self._model)
        if dropout:
            prepared = self._prepared.setdefault(True, self._prepared.get(True) or prepared.with_dropout())
        outputs = prepared(batch, taps)
        self.seconds += perf_counter() - start
        return outputs


@lru_cache(maxsize=4)
def _slot(key: object, examples: Examples, precision: Precision, subset: bytes | None) -> list[Tensor]:
    """A list that keeps the logits; it does not keep the teacher alive."""
    return []
