from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from bebertlab.errors import SetupError, UserError
from bebertlab.hub.arguments import check_attention, check_dtype, load_arguments


@pytest.mark.parametrize("value", [None, "auto", "float32", torch.float32])
def test_float32_is_the_dtype(value: object) -> None:
    check_dtype("dtype", value)


@pytest.mark.parametrize("value", [torch.bfloat16, "float16", torch.float64])
@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_other_dtypes_are_refused(name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^{name} is {value}; packed models compute in float32"):
        load_arguments({name: value})


@pytest.mark.parametrize("device_map", [None, "cpu", {"": "cpu"}, torch.device("cpu")])
def test_a_model_is_on_one_device(device_map: object) -> None:
    assert load_arguments({"device_map": device_map}).device == "cpu"


@pytest.mark.parametrize(
    "device_map", ["auto", {"bert": "cpu", "classifier": "cpu"}, {"bert": "cpu"}, {}, "meta", [0], True]
)
def test_several_devices_are_refused(device_map: object) -> None:
    with pytest.raises(UserError, match=f"^device_map is {re.escape(repr(device_map))}; .* on one device"):
        load_arguments({"device_map": device_map})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_named() -> None:
    for device_map in (0, "cuda:0"):
        with pytest.raises(SetupError, match=r"^device 'cuda:0' cannot be used: "):
            load_arguments({"device_map": device_map})


def test_arguments_without_effect_are_accepted() -> None:
    given: dict[str, Any] = {"trust_remote_code": False, "weights_only": True, "adapter_kwargs": None, "subfolder": ""}
    arguments = load_arguments({**given, "use_safetensors": True, "revision": "v1", "token": "t"})
    assert arguments.hub == {"revision": "v1", "token": "t"}
    assert not arguments.loading_info


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quantization_config", {"bits": 4}),
        ("state_dict", {"a": 1}),
        ("tp_plan", "auto"),
        ("use_safetensors", False),
        ("subfolder", "inner"),
        ("attn_implementation", "sdpa"),
        ("anything", 1),
    ],
)
def test_what_a_packed_model_cannot_do_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^{name} is {re.escape(repr(value))}"):
        load_arguments({name: value})


def test_attention_is_eager() -> None:
    check_attention("eager")
    with pytest.raises(UserError, match="flash_attention_2"):
        check_attention("flash_attention_2")
