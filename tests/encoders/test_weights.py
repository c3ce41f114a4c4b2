from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bebertlab.encoders.weights import read_weights
from bebertlab.errors import EnvironmentFault, UserError

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def is_read(path: Path) -> bool:
    found = read_weights(path)
    return found.keys() == TENSORS.keys() and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("inside", ["", "state_dict", "model"])
def test_pickles_of_any_age_are_read(tmp_path: Path, modern: bool, inside: str) -> None:
    data = {inside: TENSORS, "epoch": 3} if inside else TENSORS
    torch.save(data, tmp_path / "old.bin", _use_new_zipfile_serialization=modern)
    assert is_read(tmp_path / "old.bin")


def test_names_of_a_model_on_several_gpus_are_plain_again(tmp_path: Path) -> None:
    torch.save({f"module.{name}": tensor for name, tensor in TENSORS.items()}, tmp_path / "several.pt")
    assert is_read(tmp_path / "several.pt")


def test_a_folder_is_read_by_its_first_file(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")
    assert is_read(tmp_path)
    shards = {name: f"model-{place}.safetensors" for place, name in enumerate(TENSORS)}
    for name, shard in shards.items():
        save_file({name: TENSORS[name]}, tmp_path / shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (tmp_path / "pytorch_model.bin").unlink()
    assert is_read(tmp_path)
    save_file(TENSORS, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors.index.json").unlink()
    assert is_read(tmp_path)
    assert is_read(tmp_path / "model.safetensors")


def test_code_is_refused_with_its_name_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "b": Harm(tmp_path / "harm")}, tmp_path / "harmful.bin")
    with pytest.raises(UserError, match=r"harmful\.bin: refused: it holds code or objects \(io\.open\)"):
        read_weights(tmp_path / "harmful.bin")
    (tmp_path / "plain.bin").write_bytes(pickle.dumps({"b": Harm(tmp_path / "harm")}))
    with pytest.raises(UserError, match=r"plain\.bin: refused"):
        read_weights(tmp_path / "plain.bin")
    torch.save(nn.Linear(2, 2), tmp_path / "module.bin")
    with pytest.raises(
        UserError, match=r"code or objects \(torch\.nn\.modules\.linear\.Linear\).* only the state dict"
    ):
        read_weights(tmp_path / "module.bin")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x80\x02}", b"PK\x03\x04 no archive"])
def test_what_is_damaged_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.bin: refused: it is damaged, or no checkpoint of torch"):
        read_weights(tmp_path / "bad.bin")


def test_what_was_cut_off_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2000)}, tmp_path / "whole.bin")
    whole = (tmp_path / "whole.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        read_weights(tmp_path / "cut.bin")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([torch.ones(2)], "a mapping of names to tensors is needed, found list"),
        ({}, "a mapping of names to tensors is needed, found dict"),
        ({"a": torch.ones(2), "epoch": 3}, r"not only tensors are in it: epoch \(int\)"),
    ],
)
def test_what_is_no_mapping_of_tensors_is_refused(tmp_path: Path, data: object, fault: str) -> None:
    torch.save(data, tmp_path / "odd.bin")
    with pytest.raises(UserError, match=fault):
        read_weights(tmp_path / "odd.bin")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"none\.bin: no such file"):
        read_weights(tmp_path / "none.bin")
    with pytest.raises(EnvironmentFault, match=r"has no model\.safetensors nor .* nor pytorch_model\.bin"):
        read_weights(tmp_path)
