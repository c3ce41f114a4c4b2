"""Shared by the plans and stages of one process: loaded tasks, and digests and plans of encoders."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bebertlab.data.tokenizer import read_tokenizer, training_tokenizer
from bebertlab.errors import UserError, show_exception
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.stage import Codec, PlannedModel, TokenizerSource
from bebertlab.interfaces.task import Task, TaskOptions
from bebertlab.store.fingerprint import canonical


class TaskCache:
    """Loads each task and hashes each encoder once, however many trials need them."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._tasks: dict[str, Task] = {}
        self._digests: dict[str, str] = {}
        self._models: dict[tuple[str, str], PlannedModel] = {}

    def task(self, options: TaskOptions) -> Task:
        """The loaded task.

        Raises:
            UserError: its data or its plugin have errors.
            SetupError: its data are not there.
        """
        key = canonical(self._codec.dump(options))
        if key not in self._tasks:
            self._tasks[key] = _loaded(options)
        return self._tasks[key]

    def encoder_digest(self, options: EncoderOptions) -> str:
        """The digest of the encoder's weights and vocabulary."""
        key = canonical(self._codec.dump(options))
        if key not in self._digests:
            self._digests[key] = options.digest()
        return self._digests[key]

    def encoder_model(self, options: EncoderOptions, task: Task) -> PlannedModel:
        """Known properties of the model that results from training the encoder on a task.

        Raises:
            UserError: the encoder cannot read the task.
        """
        key = (canonical([self._codec.dump(options), self.encoder_digest(options)]), task.digest)
        if key not in self._models:

            @cache
            def parts() -> Mapping[str, str]:
                with TemporaryDirectory() as name:
                    training_tokenizer(options, task).save_pretrained(Path(name))
                    return read_tokenizer(Path(name)).parts

            name = f"the tokenizer of the encoder '{getattr(options, 'name', options.kind)}'"
            self._models[key] = PlannedModel(
                tokenizer=TokenizerSource(name=name, key=canonical(key), parts=parts),
                maximum_tokens=options.maximum_tokens,
                architecture=options.plan(task),
            )
        return self._models[key]


def _loaded(options: TaskOptions) -> Task:
    try:
        task = options.load()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"task '{options.kind}': load() raises {show_exception(error)}") from error
    if not isinstance(task, Task):
        raise UserError(f"task '{options.kind}': load() returns {type(task).__name__}, not a Task")
    if problem := task.score_problem:
        raise UserError(f"task '{options.kind}': {problem}")
    return task
