from __future__ import annotations

import pytest
import torch

from bebertlab.errors import SetupError, UserError
from bebertlab.study.devices import (
    count_gpus,
    describe_device,
    device_in_worker,
    gpu_share,
    machine_gpu,
    visible_to_workers,
)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Tesla {index}")


@pytest.mark.usefixtures("two_gpus")
def test_a_device_is_a_number_of_gpus() -> None:
    assert [count_gpus(device) for device in ("cpu", "cuda", "cuda:0", "cuda:1")] == [0, 2, 1, 1]
    with pytest.raises(SetupError, match="no device cuda:2: torch sees 2 GPUs"):
        count_gpus("cuda:2")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:", "cpu:0", "CUDA"])
def test_other_devices_are_refused(device: str) -> None:
    with pytest.raises(UserError, match="unknown device"):
        count_gpus(device)


@pytest.mark.parametrize(
    ("device", "environment", "visible"),
    [
        ("cpu", {}, {}),
        ("cuda", {"CUDA_VISIBLE_DEVICES": "3,5"}, {}),
        ("cuda:1", {}, {"CUDA_VISIBLE_DEVICES": "1"}),
        ("cuda:1", {"CUDA_VISIBLE_DEVICES": "3,5"}, {"CUDA_VISIBLE_DEVICES": "5"}),
        ("cuda:0", {"CUDA_VISIBLE_DEVICES": "GPU-1f,GPU-2e"}, {"CUDA_VISIBLE_DEVICES": "GPU-1f"}),
    ],
)
def test_ray_sees_the_named_gpu_only(device: str, environment: dict[str, str], visible: dict[str, str]) -> None:
    assert visible_to_workers(device, environment) == visible


def test_a_worker_uses_the_gpu_that_ray_assigned() -> None:
    assert [device_in_worker(device) for device in ("cpu", "cuda", "cuda:3")] == ["cpu", "cuda:0", "cuda:0"]


@pytest.mark.parametrize(("gpus", "jobs"), [(1, 1), (1, 3), (2, 3), (2, 5), (4, 2), (8, 8)])
def test_all_jobs_fit_on_the_gpus(gpus: int, jobs: int) -> None:
    share = gpu_share(gpus, jobs)
    assert share <= 1
    assert int(1 / share + 1e-9) * gpus >= jobs


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_is_described_by_its_number_on_the_machine() -> None:
    assert describe_device("cpu") == "cpu"
    assert describe_device("cuda:1", {}) == "GPU 1 (Tesla 1)"
    assert describe_device("cuda", {"CUDA_VISIBLE_DEVICES": "6"}) == "GPU 6 (Tesla 0)"
    assert machine_gpu(1, {"CUDA_VISIBLE_DEVICES": "6, 7"}) == "7"
