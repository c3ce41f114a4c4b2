from __future__ import annotations

import logging
import os
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bebertlab.interfaces.training_state import TrainingState
from bebertlab.store.states import StateFile, UnusableState, read_state_header

KEY, OTHER = "ab" * 32, "cd" * 32
STATE = TrainingState(
    tensors={
        "flat": torch.arange(6.0)[2:5],  # views of one memory
        "part": torch.arange(6.0)[:2],
        "flag": torch.tensor(True),
        "half": torch.ones(2, 3, dtype=torch.bfloat16).T,
        "empty": torch.empty(0),
    },
    data={"best": float("-inf"), "loss": 0.1 + 0.2, "names": ["a"]},
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def states(folder: Path, *, seconds: float = 10.0, key: str = KEY, clock: Clock | None = None) -> StateFile:
    numbers = count()

    def new_folder() -> Path:
        new = folder / f"new-{next(numbers)}"
        new.mkdir()
        return new

    return StateFile(folder / "states" / f"{KEY}.safetensors", key, new_folder, seconds=seconds, clock=clock or Clock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A saved state."""
    kept = states(tmp_path)
    assert kept.begin() is None
    kept.save(STATE)
    return tmp_path / "states" / f"{KEY}.safetensors"


def test_what_was_saved_is_read(path: Path, tmp_path: Path) -> None:
    saved = states(tmp_path).begin()
    assert saved is not None
    assert saved.data == STATE.data
    assert saved.tensors.keys() == STATE.tensors.keys()
    for name, tensor in STATE.tensors.items():
        assert torch.equal(saved.tensors[name], tensor)
        assert saved.tensors[name].dtype == tensor.dtype
    assert 0.0 <= saved.age_seconds < 100.0
    assert [file.name for file in tmp_path.iterdir()] == ["states"]  # nothing but the one file
    assert len([*path.parent.iterdir()]) == 1


def test_one_is_due_after_the_interval_and_after_a_slow_save_later(tmp_path: Path) -> None:
    clock = Clock()
    kept = states(tmp_path, clock=clock)
    kept.begin()
    due = []
    for clock.now in (0.0, 9.0, 10.0, 12.0):
        due.append(kept.is_due())
        if due[-1]:
            kept.save(STATE)
    clock.now = 20.0
    assert [*due, kept.is_due()] == [False, False, True, False, True]


def test_the_seconds_of_the_stage_go_with_the_state(tmp_path: Path) -> None:
    for seconds in (30.0, 50.0):
        clock = Clock()
        kept = states(tmp_path, clock=clock)
        kept.begin()
        clock.now = seconds
        kept.save(STATE)
    kept = states(tmp_path)
    kept.begin()
    assert kept.carried_seconds == 80.0


def test_a_kill_while_a_state_is_written_leaves_the_one_before(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    kept = states(tmp_path)
    kept.begin()
    with pytest.raises(KeyboardInterrupt):
        kept.save(TrainingState(data={"loss": 1.0}))
    saved = states(tmp_path).begin()
    assert saved is not None
    assert saved.data == STATE.data


def test_a_file_that_cannot_be_written_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    clock = Clock()
    kept = states(tmp_path, clock=clock)
    kept.begin()
    kept.save(STATE)
    clock.now = 1e9
    assert not kept.is_due()  # there is one message
    assert "cannot be saved: [Errno 28] No space left on device; the training continues" in caplog.text
    assert [*tmp_path.rglob("*.safetensors")] == []


def _rewritten(path: Path, old: str, new: str) -> None:
    """Another header with the same tensors."""
    with safe_open(path, framework="pt") as file:
        metadata = {name: text.replace(old, new) for name, text in file.metadata().items()}
    save_file(load_file(path), path, metadata=metadata)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"format": 1', '"format": 2', "another version of bebertlab wrote it"),
        ('"source": "', '"source": "0', "another version of bebertlab wrote it"),
        (f'"key": "{KEY}"', f'"key": "{OTHER}"', f"it belongs to stage {OTHER[:12]}"),
        ('"saved"', '"stored"', "it is damaged"),
        ('"format"', '"number"', "it is damaged"),
        ("{", "", "it is damaged"),
        ('"best": -Infinity', '"best": 1.0', "it is damaged (its checksum is wrong)"),
    ],
)
def test_another_header_is_refused_with_a_message(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, reason: str
) -> None:
    _rewritten(path, old, new)
    with caplog.at_level(logging.WARNING):
        assert states(tmp_path).begin() is None
    (record,) = caplog.records
    assert record.getMessage().startswith(f"the saved state of stage {KEY[:12]} is not used: {reason}")
    assert record.getMessage().endswith("; the training starts from the beginning")
    assert not path.exists()


@pytest.mark.parametrize("kept", [0, 7, 100, -1, -40])
def test_a_truncated_file_is_refused(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    assert states(tmp_path).begin() is None
    assert "it is damaged" in caplog.text


def test_every_byte_counts(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    for position in range(0, len(whole), 13):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x11]) + whole[position + 1 :])
        assert states(tmp_path).begin() is None, position


def test_a_header_is_read_for_its_key(path: Path) -> None:
    assert read_state_header(path, KEY).data == STATE.data
    with pytest.raises(UnusableState, match="belongs to stage"):
        read_state_header(path, OTHER)


def test_a_later_training_of_the_stage_has_its_own_state(tmp_path: Path) -> None:
    kept = states(tmp_path, seconds=0.0)
    kept.begin()
    kept.begin()
    kept.save(STATE)
    again = states(tmp_path, seconds=0.0)
    assert again.begin() is None
    assert not again.is_due()  # it would replace the state of the second
    assert again.begin() is not None
    assert again.is_due()
