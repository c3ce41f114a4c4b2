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

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.stage import Artifact, Codec
from bebertlab.interfaces.task import Task
from bebertlab.manager import load_plugins
from bebertlab.stages.finetune import FinetuneStage
from bebertlab.testing.bench import StageBench
from bebertlab.testing.tiny import tiny_task
from bebertlab.train.options import TrainOptions

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
def golden_folder() -> Path:
    """The folder that the variable `BEBERTLAB_GOLDEN` names, else `tests/golden`, else `../shared/golden`."""
    if named := os.environ.get("BEBERTLAB_GOLDEN"):
        return Path(named)
    own = Path(__file__).parent / "golden"
    return own if own.is_dir() else Path(__file__).parents[2] / "shared" / "golden"


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Callable[[str], Golden]:
    """Loads a golden file by name, from `golden_folder`.

    A test file names the type with `if TYPE_CHECKING: from tests.conftest import Golden`.
    """

    def load(name: str) -> Golden:
        text = (golden_folder / f"{name}.json").read_text(encoding="utf-8")
        return Golden(json.loads(text), load_file(golden_folder / f"{name}.safetensors"))

    return load


TRAIN = TrainOptions(learning_rate=3e-3, epochs=2, batch_size=16)


@pytest.fixture(scope="session")
def codec() -> Codec:
    return OptionsCodec(load_plugins().registry)


@pytest.fixture(scope="session")
def task() -> Task:
    return tiny_task()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, codec: Codec) -> StageBench:
    return StageBench(tmp_path_factory.mktemp("stages"), codec)


@pytest.fixture(scope="session")
def train() -> TrainOptions:
    return TRAIN


@pytest.fixture(scope="session")
def teacher(bench: StageBench, task: Task) -> Artifact:
    """A fine-tuned model; read-only, as in the store."""
    return bench.run(FinetuneStage(train=TRAIN), task, name="teacher")


@pytest.fixture(scope="session")
def metrics() -> Callable[[Artifact], dict[str, float]]:
    return lambda artifact: json.loads((artifact.folder / "metrics.json").read_text())


@pytest.fixture(scope="session")
def logits() -> Callable[[Artifact], dict[str, Tensor]]:
    return lambda artifact: load_file(artifact.folder / "logits.safetensors")
