"""States of trainings that are not finished: one file for each stage, next to the artifacts."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, frozen
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bebertlab.formats import TRAINING_STATE
from bebertlab.interfaces.training_state import TrainingState, TrainingStates
from bebertlab.store.fingerprint import source_digest

_log = logging.getLogger(__name__)

#: of the time, that saving may take
SHARE = 0.02

_HEADER = "bebertlab"
_CHECKSUM = "sha256"


class UnusableState(Exception):
    """A file does not hold a state that this version can continue from."""


@frozen(kw_only=True)
class StateHeader:
    """What a file says about the state in it."""

    format: int
    key: str  #: of the stage
    source: str  #: digest of the source that wrote it
    training: int  #: number of the training in its stage, from 0
    saved: float  #: seconds since 1970
    stage_seconds: float  #: that the stage had run for
    data: Mapping[str, Any]  #: of the state


class StateFile(TrainingStates):
    """Keeps the state of one stage in a file; whoever writes it holds the claim of the stage.

    A state is saved when `seconds` have passed since the stage began or the last one was saved, and later where saving
    would take more than a fiftieth of the time.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        new_folder: Callable[[], Path],
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._key, self._new_folder = path, key, new_folder
        self._seconds, self._clock = seconds, clock
        self._start = clock()
        self._next = self._start + seconds
        self._training = -1  # number of the current one
        self._saved_training = -1  # number of the one whose state is in the file
        self.carried_seconds = 0.0  #: that the stage had run for when the state was saved from which it continued

    def begin(self) -> TrainingState | None:
        """Begin the next training of the stage; returns its state if an earlier process saved one."""
        self._training += 1
        if not self._path.is_file():
            return None
        try:
            header = read_state_header(self._path, self._key)
            self._saved_training = header.training
            if header.training != self._training:
                return None
            tensors = _read_tensors(self._path)
        except UnusableState as error:
            self.reject(str(error))
            return None
        self.carried_seconds = header.stage_seconds
        age = max(0.0, time.time() - header.saved)  # clocks of two machines differ
        return TrainingState(tensors=tensors, data=header.data, age_seconds=age)

    def is_due(self) -> bool:
        """Whether the state should be saved now; never while the file has that of a later training of the stage."""
        return self._clock() >= self._next and self._saved_training <= self._training

    def save(self, state: TrainingState) -> None:
        """Replace the saved state. Where the file cannot be written, the training continues without, with a message."""
        start = self._clock()
        header = StateHeader(
            format=TRAINING_STATE.number,
            key=self._key,
            source=source_digest(),
            training=self._training,
            saved=time.time(),
            stage_seconds=self.carried_seconds + start - self._start,
            data=state.data,
        )
        try:
            self._write(header, state.tensors)
        except (OSError, SafetensorError) as error:
            _log.warning("the state of stage %s cannot be saved: %s; the training continues", self._key[:12], error)
            self._seconds = float("inf")
        self._saved_training = self._training
        end = self._clock()
        self._next = end + max(self._seconds, (end - start) * (1 / SHARE - 1))

    def reject(self, reason: str) -> None:
        """Remove the saved state with a message: the training starts from the beginning."""
        _log.warning(
            "the saved state of stage %s is not used: %s; the training starts from the beginning",
            self._key[:12],
            reason,
        )
        self._path.unlink(missing_ok=True)
        self._saved_training = -1
        self.carried_seconds = 0.0

    def _write(self, header: StateHeader, tensors: Mapping[str, Tensor]) -> None:
        folder = self._new_folder()
        unfinished = folder / self._path.name
        try:
            owned = _separate(tensors)
            text = json.dumps(asdict(header, recurse=False))  # keeps the order of mappings
            save_file(owned, unfinished, metadata={_HEADER: text, _CHECKSUM: _checksum(text, owned)})
            _sync(unfinished)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(unfinished, self._path)
            _sync(self._path.parent)
        finally:
            unfinished.unlink(missing_ok=True)
            folder.rmdir()


def read_state_header(path: Path, key: str) -> StateHeader:
    """What a file says about the state of a stage in it; cheap: the tensors are not read.

    Raises:
        UnusableState: it is damaged, belongs to another stage, or another version of bebertlab wrote it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        data = json.loads(metadata[_HEADER])
        number, source = data["format"], data["source"]
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise UnusableState(f"it is damaged ({type(error).__name__}: {error})") from error
    if not TRAINING_STATE.matches(number) or source != source_digest():
        raise UnusableState("another version of bebertlab wrote it")
    try:
        header = StateHeader(**data)
    except TypeError as error:
        raise UnusableState(f"it is damaged ({error})") from error
    if header.key != key:
        raise UnusableState(f"it belongs to stage {str(header.key)[:12]}")
    return header


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            # copies: a view of the file would change when the file is replaced on some file systems
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValueError) as error:
        raise UnusableState(f"it is damaged ({type(error).__name__}: {error})") from error
    if _checksum(metadata[_HEADER], tensors) != metadata.get(_CHECKSUM):
        raise UnusableState("it is damaged (its checksum is wrong)")
    return tensors


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, each in its own memory, as safetensors requires."""
    separate, seen = {}, set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        if own.untyped_storage().nbytes() != own.nbytes or own.data_ptr() in seen:
            own = own.clone()
        seen.add(own.data_ptr())
        separate[name] = own
    return separate


def _checksum(header: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Write what the system has buffered of a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
