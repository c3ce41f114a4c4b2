"""The arguments with which transformers loads a model: what they mean for a packed one, or that they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.inference.devices import check_device

FLOAT = torch.float32  #: what packed models compute in
#: where a model that is not in a folder is looked for
_HUB = ("cache_dir", "force_download", "local_files_only", "revision", "token")
#: a packed model is read in the same way whatever they say
_WITHOUT_EFFECT = frozenset(
    {
        "code_revision",
        "disable_mmap",
        "ignore_mismatched_sizes",
        "low_cpu_mem_usage",
        "max_memory",
        "tqdm_class",
        "trust_remote_code",
        "weights_only",
        "_commit_hash",
        "_from_auto",
        "_from_pipeline",
    }
)
#: of arguments that are not fields of the configuration
NAMES = frozenset(
    {
        *_HUB,
        *_WITHOUT_EFFECT,
        "attn_implementation",
        "device_map",
        "dtype",
        "output_loading_info",
        "subfolder",
        "torch_dtype",
        "use_safetensors",
    }
)


@frozen(kw_only=True)
class LoadArguments:
    """How a packed model is loaded."""

    device: str
    hub: Mapping[str, Any]  #: arguments of `snapshot_download`
    loading_info: bool  #: whether transformers' dict of missing and unexpected tensors is returned too


def load_arguments(given: Mapping[str, Any]) -> LoadArguments:
    """The arguments of `from_pretrained`, without those that are fields of the configuration.

    Raises:
        UserError: one is unknown, or asks for what a packed model cannot do.
    """
    for name in ("dtype", "torch_dtype"):
        check_dtype(name, given.get(name))
    for name, value in given.items():
        if name not in NAMES and value not in (None, False, {}):
            raise UserError(f"{name} is {value!r}, which packed models do not support; leave it out")
    check_attention(given.get("attn_implementation"))
    if given.get("use_safetensors") is False:
        raise UserError("use_safetensors is False; packed models are files of safetensors")
    if given.get("subfolder"):
        raise UserError(f"subfolder is {given['subfolder']!r}, which packed models do not support; give its path")
    return LoadArguments(
        device=_device(given.get("device_map")),
        hub={name: given[name] for name in _HUB if name in given},
        loading_info=bool(given.get("output_loading_info")),
    )


def check_dtype(name: str, value: object) -> None:
    """Check that a model is to compute in float32.

    Raises:
        UserError: it is not; names the argument.
    """
    if value not in (None, "auto", FLOAT, "float32", "torch.float32"):
        raise UserError(f"{name} is {value}; packed models compute in float32 and integers, so leave it out")


def check_attention(implementation: object) -> None:
    """Check that attention is to be computed as the model was trained.

    Raises:
        UserError: it is not.
    """
    if implementation not in (None, "eager"):
        raise UserError(
            f"attn_implementation is {implementation!r}; attention is computed as in training, so leave it out"
        )


def _device(device_map: object) -> str:
    """The one device of a `device_map`."""
    if device_map is None:
        return "cpu"
    target = device_map
    if isinstance(device_map, Mapping) and len(device_map) == 1:
        target = device_map.get("")
    problem = f"device_map is {device_map!r}; a packed model is on one device: give its name, such as 'cuda'"
    if not isinstance(target, int | str | torch.device) or isinstance(target, bool):
        raise UserError(problem)
    try:
        device = torch.device("cuda", target) if isinstance(target, int) else torch.device(target)
    except RuntimeError:
        raise UserError(problem) from None
    if device.type == "meta":
        raise UserError(problem)
    check_device(device)
    return str(device)
