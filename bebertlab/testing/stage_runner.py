"""Stages run one by one on a tiny task, without a recipe and a store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.stage import Artifact, Codec, Context, Inputs, StageOptions
from bebertlab.interfaces.task import Task
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class StageRunner:
    """Runs stages, each into a folder of its own below `root`."""

    def __init__(self, root: Path, codec: Codec) -> None:
        self.codec = codec
        self.warnings: list[str] = []  #: what the stages warned of
        self._root = root
        self._number = 0

    def context(self, task: Task, *, seed: int = 0, name: str = "stage") -> Context:
        """What a stage is given, with an empty folder."""
        self._number += 1
        folder = self._root / str(self._number)
        folder.mkdir(parents=True)
        return Context(
            stage=name,
            folder=folder,
            seed=seed,
            task=task,
            encoder=TinyTestEncoder(),
            codec=self.codec,
            progress=lambda fraction, text: None,
            warn=self.warnings.append,
        )

    def run(
        self,
        stage: StageOptions,
        task: Task,
        *,
        seed: int = 0,
        name: str = "stage",
        **inputs: Artifact | tuple[Artifact, ...],
    ) -> Artifact:
        """The artifact of a stage; inputs by field name."""
        context = self.context(task, seed=seed, name=name)
        given = {key: one if isinstance(one, tuple) else (one,) for key, one in inputs.items()}
        stage.run(Inputs(artifacts=given), context)
        return Artifact(stage=name, key=str(context.folder), folder=context.folder, seconds=0.0)


@frozen(kw_only=True)
class TinyTestEncoder(EncoderOptions):
    """The model and the tokenizer of the tiny task, without transformers."""

    kind = "tiny-test"
    maximum_tokens: int = field(default=32)

    def digest(self) -> str:
        """Nothing: it is always the same."""
        return ""

    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        """As much of a tokenizer as stages use."""
        made: Any = _Tokenizer()
        return made

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """Random weights."""
        return tiny_model(tiny_task(regression=classes == 1), seed=seed).checkpoint()


class _Tokenizer:
    def __len__(self) -> int:
        return tiny_model(tiny_task()).architecture.vocabulary

    def save_pretrained(self, folder: Path) -> None:
        tiny_tokenizer(folder)
        (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
