"""What many tests share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import settings
from safetensors.torch import load_file
from torch import Tensor

# the same examples in every run, and no failure because the machine is busy
settings.register_profile("bebertlab", derandomize=True, deadline=None)
settings.load_profile("bebertlab")


@frozen(eq=False)
class Golden:
    """A file of golden vectors: numbers that the published code of a paper produced."""

    meta: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def cases(self) -> list[dict[str, Any]]:
        """What the JSON says of each case, its name included."""
        cases: list[dict[str, Any]] = self.meta["cases"]
        return cases


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Loads a golden file by name, from the folder `BEBERTLAB_GOLDEN` (default `tests/golden`).

    A test file names the type with `if TYPE_CHECKING: from tests.conftest import Golden`.
    """
    folder = Path(os.environ.get("BEBERTLAB_GOLDEN") or Path(__file__).parent / "golden")

    def load(name: str) -> Golden:
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        return Golden(json.loads(text), load_file(folder / f"{name}.safetensors"))

    return load
