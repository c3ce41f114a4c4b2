"""The tiny task, a bench to run stages on, and a teacher."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
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
