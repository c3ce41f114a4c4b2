"""Fixtures that many tests share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from hypothesis import settings
from safetensors.torch import load_file, save_file
from torch import Tensor

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.stage import Artifact, Codec, PlannedModel, Planning
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.folder import load_model, save_model
from bebertlab.model.huggingface import configuration
from bebertlab.registry.manager import load_plugins
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.options import TrainOptions
from bebertlab_stages.load import LoadStage
from bebertlab_stages.training import FinetuneStage

# the same examples in every run, and no failure because the machine is busy
settings.register_profile("bebertlab", derandomize=True, deadline=None)
settings.load_profile("bebertlab")


@frozen(eq=False)
class Golden:
    """A file of golden vectors: numbers that the published code of a paper produced."""

    name: str
    meta: dict[str, Any]
    tensors: dict[str, Tensor]
    cases: list[dict[str, Any]]  #: metadata of each case from the JSON, its name included

    def of(self, *codes: str) -> Golden:
        """The same with the cases of these published codes only; without such cases the test is skipped.

        A test compares all of them: it raises for an unknown case instead of skipping it. It calls
        `golden("file").of("code")` with literal names, because `tests/test_golden.py` reads them there.
        """
        cases = [case for case in self.cases if self.code(case) in codes]
        if not cases:
            pytest.skip(f"{self.name}.json has no case of {' or '.join(codes)}")
        return evolve(self, cases=cases)

    def code(self, case: dict[str, Any] | None = None) -> str:
        """The published code that produced a case; the first of the file if none is given.

        Its name is that of its repository, with the folder in it if a repository contains several codes.
        """
        source: dict[str, str] = self.meta["sources"][(case or {}).get("source", 0)]
        repository, folder = source["repo"].rsplit("/", 1)[-1], source["file"].split("/", 1)[0]
        several: dict[str, str] = {"Pretrained-Language-Model": folder, "BEBERT": f"BEBERT/{folder}"}
        return several.get(repository, repository)

    def below(self, name: str) -> dict[str, Tensor]:
        """The tensors of a case, or of another part of the file, without its name."""
        return {key.removeprefix(f"{name}/"): t for key, t in self.tensors.items() if key.startswith(f"{name}/")}

    def batch(self) -> Batch:
        """The inputs of the models of the file."""
        t = self.below("in")
        return Batch(
            positions=torch.arange(len(t["labels"])),
            tokens=t["input_ids"],
            segments=t["token_type_ids"],
            mask=t["attention_mask"].bool(),
            labels=t["labels"],
        )

    def loss(self, logits: Tensor) -> Tensor:
        """The loss of the published models; a single logit is a regression value."""
        labels = self.tensors["in/labels"]
        if logits.shape[1] == 1:
            return F.mse_loss(logits.flatten(), labels.flatten().to(logits.dtype))
        return F.cross_entropy(logits, labels)


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """The folder that the variable `BEBERTLAB_GOLDEN` names, else `tests/golden`, else `../shared/golden`."""
    if named := os.environ.get("BEBERTLAB_GOLDEN"):
        return Path(named)
    included = Path(__file__).parent / "golden"
    return included if included.is_dir() else Path(__file__).parents[2] / "shared" / "golden"


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Callable[[str], Golden]:
    """Loads a golden file by name, from `golden_folder`.

    A test file names the type with `if TYPE_CHECKING: from tests.conftest import Golden`.
    """

    def load(name: str) -> Golden:
        meta = json.loads((golden_folder / f"{name}.json").read_text(encoding="utf-8"))
        return Golden(name, meta, load_file(golden_folder / f"{name}.safetensors"), meta["cases"])

    return load


@pytest.fixture(scope="session")
def golden_models(golden: Callable[[str], Golden], golden_folder: Path) -> Callable[..., dict[str, Golden]]:
    """Loads all golden files of whole models of some published codes; see `Golden.of`."""

    def load(*codes: str) -> dict[str, Golden]:
        loaded = {path.stem: golden(path.stem) for path in sorted(golden_folder.glob("model_*.json"))}
        actual = {name: vectors for name, vectors in loaded.items() if vectors.code() in codes}
        if not actual:
            pytest.skip(f"there is no model of {' or '.join(codes)}")
        return actual

    return load


TRAIN = TrainOptions(learning_rate=3e-3, epochs=2, batch_size=16)


@pytest.fixture(scope="session")
def codec() -> OptionsCodec:
    return OptionsCodec(load_plugins().registry)


@pytest.fixture(scope="session")
def task() -> Task:
    return tiny_task()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, codec: OptionsCodec) -> StageRunner:
    return StageRunner(tmp_path_factory.mktemp("stages"), codec)


@pytest.fixture(scope="session")
def train() -> TrainOptions:
    return TRAIN


@pytest.fixture(scope="session")
def teacher(bench: StageRunner, task: Task) -> Artifact:
    """A fine-tuned model; read-only, as in the store."""
    return bench.run(FinetuneStage(train=TRAIN), task, name="teacher")


@pytest.fixture(scope="session")
def renumbered(
    bench: StageRunner, task: Task, teacher: Artifact, codec: Codec, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """The fine-tuned model with permuted token ids, which gives equal predictions."""
    folder = tmp_path_factory.mktemp("renumbered")
    checkpoint = load_model(teacher.folder, codec).checkpoint()
    order = torch.cat([torch.arange(5), torch.arange(5, checkpoint.architecture.vocabulary).flip(0)])
    name = "bert.embeddings.word_embeddings.weight"
    tensors = {**checkpoint.tensors, name: checkpoint.tensors[name][order]}
    model = BertClassifier.from_checkpoint(evolve(checkpoint, tensors=tensors))
    save_model(model, folder, codec, classes=tiny_task().classes)
    data = json.loads((teacher.folder / "tokenizer.json").read_text())
    data["model"]["vocab"] = {word: int(order[index]) for word, index in data["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(data))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 32}')
    return bench.run(LoadStage(folder=folder).prepare({}, task, codec), task, name="renumbered")


@pytest.fixture(scope="session")
def planning(task: Task, codec: Codec) -> Planning:
    """The planning environment of the tiny task, for stages that do not use the encoder."""
    return Planning(task=task, codec=codec, encoder=lambda: pytest.fail("not asked for"))


@pytest.fixture(scope="session")
def planned_teacher(teacher: Artifact, codec: Codec, task: Task, planning: Planning) -> PlannedModel | None:
    """The planned model of the loaded fine-tuned model."""
    return LoadStage(folder=teacher.folder).prepare({}, task, codec).plan_model({}, planning)


@pytest.fixture(scope="session")
def metrics() -> Callable[[Artifact], dict[str, float]]:
    return lambda artifact: json.loads((artifact.folder / "metrics.json").read_text())


@pytest.fixture(scope="session")
def logits() -> Callable[[Artifact], dict[str, Tensor]]:
    return lambda artifact: load_file(artifact.folder / "logits.safetensors")


_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s", "dog", "run")


@pytest.fixture
def pretrained_sizes() -> Architecture:
    """The sizes of the model in the folder `pretrained`."""
    return Architecture(
        vocabulary=len(_WORDS), positions=16, hidden=8, heads=2, head_size=4, ffn=12, layers=3, classes=5
    )


@pytest.fixture
def pretrained(pretrained_sizes: Architecture, tmp_path: Path) -> Path:
    """A folder as on the hub: tokenizer, configuration, weights with a classifier of another task."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(configuration(pretrained_sizes)))
    (folder / "vocab.txt").write_text("\n".join(_WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "README.md").write_text("not part of the model")
    save_file(
        dict(random_checkpoint(pretrained_sizes, seed=7).tensors),
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    return folder
