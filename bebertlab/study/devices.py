"""Which GPU a device such as `cuda:1` is: in the driver, in a worker of Ray, and on the machine.

CUDA numbers the GPUs that CUDA_VISIBLE_DEVICES lists, in its order. Ray sets that variable in each worker to the GPU it
assigned to it, so a worker's GPU is always `cuda:0`, whatever its number on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from bebertlab.errors import SetupError, UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def count_gpus(device: str) -> int:
    """The number of GPUs that a device stands for: all visible ones for `cuda`, one for `cuda:1`, none for `cpu`.

    Raises:
        UserError: it is not the name of a CPU or of CUDA GPUs.
        SetupError: there is no such GPU.
    """
    if device == "cpu":
        return 0
    import torch

    kind, _, index = device.partition(":")
    if kind != "cuda" or (":" in device and not index.isdecimal()):
        raise UserError(f"unknown device '{device}'; one of: cpu, cuda, cuda:0, cuda:1, ...")
    count = torch.cuda.device_count()
    if count <= int(index or 0):
        raise SetupError(f"no device {device}: torch sees {count} GPUs")
    return 1 if index else count


def visible_to_workers(device: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that make the GPU of a numbered device the only one that Ray sees.

    >>> visible_to_workers("cuda:1", {}), visible_to_workers("cuda:1", {"CUDA_VISIBLE_DEVICES": "4,6"})
    ({'CUDA_VISIBLE_DEVICES': '1'}, {'CUDA_VISIBLE_DEVICES': '6'})
    >>> visible_to_workers("cuda", {})
    {}
    """
    kind, _, index = device.partition(":")
    return {VISIBLE: machine_gpu(int(index), environment)} if kind == "cuda" and index else {}


def device_in_worker(device: str) -> str:
    """What a device is called in a worker of Ray.

    >>> device_in_worker("cuda:1"), device_in_worker("cuda"), device_in_worker("cpu")
    ('cuda:0', 'cuda:0', 'cpu')
    """
    return "cuda:0" if device.partition(":")[0] == "cuda" else device


def gpu_share(gpus: int, jobs: int) -> float:
    """The part of a GPU that each of several jobs gets; a job never gets more than one.

    >>> gpu_share(0, 2), gpu_share(2, 1), gpu_share(2, 2), gpu_share(2, 3), gpu_share(1, 4)
    (0.0, 1.0, 1.0, 0.5, 0.25)
    """
    return 1 / -(-jobs // gpus) if gpus else 0.0


def machine_gpu(index: int, environment: Mapping[str, str]) -> str:
    """The machine's own number (or identifier) of the GPU that CUDA numbers `index`.

    >>> machine_gpu(0, {"CUDA_VISIBLE_DEVICES": "6"}), machine_gpu(2, {})
    ('6', '2')
    """
    listed = [name.strip() for name in environment.get(VISIBLE, "").split(",")]
    return listed[index] if VISIBLE in environment and index < len(listed) else str(index)


def describe_device(device: str, environment: Mapping[str, str] = os.environ) -> str:
    """A device in this process for people: `cpu`, or the GPU by its number on the machine and its name."""
    if device.partition(":")[0] != "cuda":
        return device
    import torch

    index = torch.device(device).index
    index = torch.cuda.current_device() if index is None else index
    return f"GPU {machine_gpu(index, environment)} ({torch.cuda.get_device_name(index)})"
