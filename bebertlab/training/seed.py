"""Seeds: a different one for every random process, and temporary seeding of torch's global generators."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(seed: int, *names: str | int) -> int:
    """A seed for the purpose that `names` describe, the same on every machine; other names give an independent seed.

    >>> derive_seed(0, "order", 1)
    8677279991123922410
    >>> derive_seed(0, "order", 1) == derive_seed(0, "order", "1")
    False
    """
    text = json.dumps([seed, *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch's global generators (dropout, initial weights) in this context, and restore them afterwards."""
    gpu = torch.device(device)
    with torch.random.fork_rng(devices=[gpu] if gpu.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def generator_states(device: str = "cpu") -> dict[str, Tensor]:
    """The states of torch's global generators: that of the CPU, and that of a GPU if it is the device."""
    gpu = torch.device(device)
    states = {"cpu": torch.get_rng_state()}
    return {**states, "gpu": torch.cuda.get_rng_state(gpu)} if gpu.type == "cuda" else states


def restore_generators(states: Mapping[str, Tensor], device: str = "cpu") -> None:
    """Continue with the random numbers that follow states that `generator_states` returned."""
    torch.set_rng_state(states["cpu"])
    if "gpu" in states:
        torch.cuda.set_rng_state(states["gpu"], torch.device(device))
