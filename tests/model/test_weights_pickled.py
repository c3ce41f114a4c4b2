from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bebertlab.errors import UserError
from bebertlab.model.weights import read_pickle

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}
OTHER = {"a.weight": torch.zeros(2, 3)}


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def read(folder: Path, data: object, *, modern: bool = True) -> dict[str, torch.Tensor]:
    torch.save(data, folder / "a.bin", _use_new_zipfile_serialization=modern)
    return read_pickle(folder / "a.bin")


def refused(folder: Path, data: object) -> str:
    with pytest.raises(UserError) as raised:
        read(folder, data)
    text = str(raised.value)
    assert text.startswith(f"{folder / 'a.bin'}: ")
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        TENSORS,
        {"state_dict": TENSORS, "epoch": 3, "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2, 2)}}}]},
        {"model": TENSORS, "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 2)}}}, "rng_state": torch.ones(8)},
        {"model_state_dict": TENSORS, "model": "bert-base-uncased", "loss": torch.tensor(0.5)},
        {"module": TENSORS, "buffer_names": ["a.position_ids"], "ds_version": "0.14"},
        {"model": {"state_dict": TENSORS, "config": {"hidden": 3}}},
        {"ema": TENSORS},
        {"state_dict": TENSORS, "ema": {"decay": 0.99}, "model": {"hidden_size": 8}},
    ],
)
def test_tensors_are_found_beside_other_things(tmp_path: Path, data: object, modern: bool) -> None:
    found = read(tmp_path, data, modern=modern)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"state_dict": TENSORS, "state_dict_ema": OTHER}, "state_dict, state_dict_ema"),
        ({"model": TENSORS, "ema": {"module": OTHER}}, "model, ema"),
        ({"model": {"state_dict": TENSORS, "ema": OTHER}}, "state_dict, ema"),
    ],
)
def test_it_is_not_guessed_which_of_two_models_is_meant(tmp_path: Path, data: object, names: str) -> None:
    assert f"it holds several models ({names}); save only one of them" in refused(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([torch.ones(2)], "expected a mapping of names to tensors, not a list"),
        ({}, "expected a mapping of names to tensors, not a dict"),
        (torch.ones(2), "expected a mapping of names to tensors, not a Tensor"),
        ({"a": torch.ones(2), "epoch": 3}, "it holds more than tensors: epoch (int)"),
        ({"state_dict": {}}, "it holds more than tensors: state_dict (dict)"),
        ({"a": torch.ones(2, 2), "model": OTHER}, "it holds more than tensors: model (dict)"),
        ({"student": TENSORS, "teacher": OTHER}, "it holds more than tensors: student (dict), teacher (dict)"),
        (
            {"a._packed_params.dtype": torch.qint8},
            "(dtype): this is a quantized model; save the model in fp32, fp16 or",
        ),
        ({"a": torch.ones(2), "b": np.ones(2)}, "it holds code or objects (numpy"),
        (nn.Linear(2, 2), "it holds code or objects (torch.nn.modules.linear.Linear) that loading would run"),
    ],
)
def test_what_is_no_mapping_of_tensors_is_refused(tmp_path: Path, data: Any, fault: str) -> None:  # noqa: ANN401
    assert fault in refused(tmp_path, data)


def test_code_is_refused_with_its_name_and_does_not_run(tmp_path: Path) -> None:
    assert "it holds code or objects (io.open)" in refused(tmp_path, {"a": torch.ones(2), "b": Harm(tmp_path / "harm")})
    (tmp_path / "plain.bin").write_bytes(pickle.dumps({"b": Harm(tmp_path / "harm")}))
    with pytest.raises(UserError, match=r"plain\.bin: refused"):
        read_pickle(tmp_path / "plain.bin")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"Entry not found", "it is text that begins with 'Entry not found'"),
        (b"<!DOCTYPE html>\n<html>", "it is a web page"),
        (b"\x80\x02}", "it is damaged, or not a checkpoint of torch"),
        (b"PK\x03\x04 no archive", "it is "),
        (bytes(range(256)), "it is damaged, or not a checkpoint of torch"),
    ],
)
def test_what_is_damaged_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.bin").write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_pickle(tmp_path / "bad.bin")
    assert str(raised.value).startswith(f"{tmp_path / 'bad.bin'}: refused: {words}")


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_what_was_cut_off_is_refused(tmp_path: Path, modern: bool, share: float) -> None:
    torch.save({"a": torch.ones(2000)}, tmp_path / "cut.bin", _use_new_zipfile_serialization=modern)
    whole = (tmp_path / "cut.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match="damaged"):
        read_pickle(tmp_path / "cut.bin")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of making it
def test_a_program_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "program.pt")
    with pytest.raises(UserError, match="it is a TorchScript program"):
        read_pickle(tmp_path / "program.pt")
