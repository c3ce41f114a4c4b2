from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bebertlab.errors import SetupError, UserError
from bebertlab.model.weights import (
    check_finite,
    read_pickle,
    read_safetensors,
    read_weights,
    safetensors_types,
    weight_shapes,
)

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
OTHER = {"a.weight": torch.zeros(2, 3)}


def write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    if path.suffix == ".safetensors":
        save_file(dict(tensors), path)
    else:
        torch.save(dict(tensors), path)


def write_shards(folder: Path, index: str = INDEXES[0], shards: Mapping[str, str] | None = None) -> dict[str, str]:
    """A tensor in every shard, and the index with the map of names to shards (`shards` if given)."""
    weight_map = {}
    for position, name in enumerate(TENSORS):
        weight_map[name] = f"shard-{position}.{'safetensors' if 'safetensors' in index else 'bin'}"
        write(folder / weight_map[name], {name: TENSORS[name]})
    (folder / index).write_text(json.dumps({"metadata": {"total_size": -5}, "weight_map": shards or weight_map}))
    return weight_map


def is_read(path: Path) -> bool:
    actual = read_weights(path)
    assert weight_shapes(path) == {name: tensor.shape for name, tensor in actual.items()}
    return actual.keys() == TENSORS.keys() and all(torch.equal(actual[name], TENSORS[name]) for name in TENSORS)


def refused(path: Path) -> str:
    """The error message of both readers."""
    texts = set()
    for read in (read_weights, weight_shapes):
        with pytest.raises(UserError) as raised:
            read(path)
        texts.add(str(raised.value))
    (text,) = texts
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_truncated_file_is_detected(tmp_path: Path, name: str) -> None:
    for zero in ("bert.a.LayerNorm.gamma", "module.bert.pooler.dense.weight"):
        write(tmp_path / name, {**TENSORS, zero: torch.zeros(2, 2)})
        with pytest.raises(UserError, match=f"{name}: {zero} is all zeros, as in a file that was only partly written"):
            read_weights(tmp_path)
    fine = ("bert.pooler.dense.bias", "bert.embeddings.token_type_embeddings.weight", "classifier.weight")
    write(tmp_path / name, {**TENSORS, **{zero: torch.zeros(2, 2) for zero in fine}})
    assert len(read_weights(tmp_path)) == len(TENSORS) + len(fine)


def test_a_safetensors_file_with_the_name_of_a_pickle_is_named(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "pytorch_model.bin")
    assert "it is a safetensors file; name it model.safetensors" in refused(tmp_path)


def test_a_folder_is_read_by_its_preferred_file(tmp_path: Path) -> None:
    write_shards(tmp_path, INDEXES[1])
    assert is_read(tmp_path)
    write(tmp_path / "pytorch_model.bin", TENSORS)
    (tmp_path / INDEXES[1]).write_text("{}")
    assert is_read(tmp_path)
    write_shards(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert is_read(tmp_path)
    assert is_read(tmp_path / INDEXES[0])
    write(tmp_path / "model.safetensors", TENSORS)
    (tmp_path / INDEXES[0]).write_text("{}")
    assert is_read(tmp_path)
    assert is_read(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["several.pt", "several.safetensors"])
def test_prefixes_of_wrapped_models_are_removed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(
        path, {f"module._orig_mod.{key}": tensor for key, tensor in TENSORS.items()} | {"n_averaged": torch.tensor(2)}
    )
    assert is_read(path)
    write(path, TENSORS | {"module.a.bias": torch.zeros(2)})
    assert refused(path).startswith(f"{path}: a.bias and module.a.bias are both called a.bias; ")


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"more": 0}, "{index}: more is not in {shards[0]}, where it should be"),
        ({"a.bias": 0}, "{index}: a.bias is not in {shards[0]}, where it should be"),
        ({"a.bias": None}, "{index}: a.bias is in {shards[1]}, but the index does not have it"),
    ],
)
def test_an_index_with_wrong_shards_is_refused(
    tmp_path: Path, index: str, change: Mapping[str, int | None], expected: str
) -> None:
    shards = list((weight_map := write_shards(tmp_path, index)).values())
    weight_map |= {name: shards[position] for name, position in change.items() if position is not None}
    if change == {"a.bias": None}:
        del weight_map["a.bias"]
        weight_map["a.other"] = shards[1]
        write(tmp_path / shards[1], {"a.bias": torch.ones(2), "a.other": torch.ones(1)})
    (tmp_path / index).write_text(json.dumps({"weight_map": weight_map}))
    assert expected.format(index=tmp_path / index, shards=shards) in refused(tmp_path)


@pytest.mark.parametrize("name", ["a.bin", "a.safetensors"])
def test_unprintable_names_are_reported_as_damage(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, {"a\nb": torch.ones(1)})
    assert r"'a\nb' is not the name of a tensor, so the file is damaged" in refused(tmp_path / name)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    shards = list(write_shards(tmp_path).values())
    write(tmp_path / shards[0], TENSORS)
    assert f"a.bias is in {shards[0]}, but the index says that it is in {shards[1]}" in refused(tmp_path)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    shards = list(write_shards(tmp_path).values())
    (tmp_path / shards[1]).write_bytes((tmp_path / shards[1]).read_bytes()[:-3])
    assert refused(tmp_path).startswith(f"{tmp_path / shards[1]}: not a readable safetensors file: ")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["a.bin", "a.safetensors"])
def test_floats_of_16_to_64_bits_are_read_as_they_are(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    write(tmp_path / name, {"a": torch.ones(2, dtype=dtype), "bert.embeddings.position_ids": torch.arange(3)})
    assert read_weights(tmp_path / name)["a"].dtype == dtype


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool, torch.complex64),
        *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu),
    ],
)
@pytest.mark.parametrize("name", ["a.bin", "a.safetensors"])
def test_weights_of_other_types_are_refused(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    write(tmp_path / name, {"a.weight": torch.ones(2, 2).to(dtype)})
    kind = str(dtype).removeprefix("torch.")
    assert refused(tmp_path / name) == (
        f"{tmp_path / name}: a.weight is of type {kind}; expected one of float32, float16, bfloat16, float64:"
        " save the model in fp32, fp16 or bf16"
    )


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: torch.eye(2).to_sparse(), "a is not a dense tensor (sparse_coo); save it as a dense one"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "a is not a dense tensor (nested)"),
        (lambda: torch.ones(2, device="meta"), "a has no values (it is on the device 'meta')"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "a is of type qint8; expected"),
        (lambda: torch.tensor([1.0, torch.nan]), "a has values that are not finite (NaN or infinite)"),
        (lambda: torch.tensor([torch.inf], dtype=torch.float16), "a has values that are not finite"),
        (lambda: torch.tensor([1e300], dtype=torch.float64), "a has values that are not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of making them
def test_tensors_of_other_kinds_are_refused(tmp_path: Path, make: Callable[[], Tensor], expected: str) -> None:
    write(tmp_path / "a.bin", {"a": make()})
    assert refused(tmp_path / "a.bin").startswith(f"{tmp_path / 'a.bin'}: {expected}")


def test_numbers_that_are_not_finite_are_refused_in_safetensors_too(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", {"a": torch.ones(2), "b": torch.tensor([torch.nan])})
    assert weight_shapes(tmp_path / "a.safetensors").keys() == {"a", "b"}
    with pytest.raises(UserError, match=r"a\.safetensors: b has values that are not finite"):
        read_weights(tmp_path / "a.safetensors")
    check_finite({"zero": torch.zeros(2), "flag": torch.tensor(True)})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not a readable safetensors file: it is empty; fetch it again"),
        (b"Entry not found", "not a readable safetensors file: it is text that begins with 'Entry not found'; fetch"),
        (b"<html><body>404</body></html>", "not a readable safetensors file: it is a web page; fetch it again"),
        (b"\x00" * 100, "not a readable safetensors file: "),
        (b"\x80\x04pickle", "not a readable safetensors file: "),
    ],
)
def test_an_invalid_safetensors_file_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    assert refused(path).startswith(f"{path}: {expected}")
    for read in (read_safetensors, safetensors_types):
        with pytest.raises(UserError, match="not a readable safetensors file"):
            read(path)


@pytest.mark.parametrize("modern", [True, False])
def test_a_pickle_named_as_safetensors_is_identified(tmp_path: Path, modern: bool) -> None:
    torch.save(TENSORS, tmp_path / "model.safetensors", _use_new_zipfile_serialization=modern)
    assert "but a pickle of torch; name it pytorch_model.bin" in refused(tmp_path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_truncated_safetensors_file_is_refused(tmp_path: Path, share: float) -> None:
    write(tmp_path / "model.safetensors", {"a": torch.ones(200)})
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: int(len(whole) * share)])
    assert "not a readable safetensors file: " in refused(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none\.bin: no such file"):
        read_weights(tmp_path / "none.bin")
    with pytest.raises(SetupError, match="no such file"):
        read_safetensors(tmp_path / "none.safetensors")
    with pytest.raises(SetupError, match=r"has no model\.safetensors \(nor "):
        read_weights(tmp_path)


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def write_and_read(folder: Path, data: object, *, modern: bool = True) -> dict[str, torch.Tensor]:
    torch.save(data, folder / "a.bin", _use_new_zipfile_serialization=modern)
    return read_pickle(folder / "a.bin")


def refused_pickle(folder: Path, data: object) -> str:
    with pytest.raises(UserError) as raised:
        write_and_read(folder, data)
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
def test_tensors_are_read_from_larger_structures(tmp_path: Path, data: object, modern: bool) -> None:
    actual = write_and_read(tmp_path, data, modern=modern)
    assert actual.keys() == TENSORS.keys()
    assert all(torch.equal(actual[name], tensor) for name, tensor in TENSORS.items())


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"state_dict": TENSORS, "state_dict_ema": OTHER}, "state_dict, state_dict_ema"),
        ({"model": TENSORS, "ema": {"module": OTHER}}, "model, ema"),
        ({"model": {"state_dict": TENSORS, "ema": OTHER}}, "state_dict, ema"),
    ],
)
def test_two_models_in_one_file_are_refused(tmp_path: Path, data: object, names: str) -> None:
    assert f"it holds several models ({names}); save only one of them" in refused_pickle(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "error"),
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
def test_other_structures_are_refused(tmp_path: Path, data: Any, error: str) -> None:  # noqa: ANN401
    assert error in refused_pickle(tmp_path, data)


def test_code_in_a_pickle_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    name = f"{open.__module__}.open"  # _io.open since Python 3.12
    assert f"it holds code or objects ({name})" in refused_pickle(
        tmp_path, {"a": torch.ones(2), "b": Harm(tmp_path / "harm")}
    )
    (tmp_path / "plain.bin").write_bytes(pickle.dumps({"b": Harm(tmp_path / "harm")}))
    with pytest.raises(UserError, match=r"plain\.bin: refused"):
        read_pickle(tmp_path / "plain.bin")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"Entry not found", "it is text that begins with 'Entry not found'"),
        (b"<!DOCTYPE html>\n<html>", "it is a web page"),
        (b"\x80\x02}", "it is damaged, or not a checkpoint of torch"),
        (b"PK\x03\x04 no archive", "it is "),
        (bytes(range(256)), "it is damaged, or not a checkpoint of torch"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.bin").write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_pickle(tmp_path / "bad.bin")
    assert str(raised.value).startswith(f"{tmp_path / 'bad.bin'}: refused: {message}")


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path: Path, modern: bool, share: float) -> None:
    torch.save({"a": torch.ones(2000)}, tmp_path / "cut.bin", _use_new_zipfile_serialization=modern)
    whole = (tmp_path / "cut.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match="damaged"):
        read_pickle(tmp_path / "cut.bin")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of making it
def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "program.pt")
    with pytest.raises(UserError, match="it is a TorchScript program"):
        read_pickle(tmp_path / "program.pt")
