"""What plans and stages of one process share: loaded tasks, and digests of encoders."""

from __future__ import annotations

from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.interfaces.task import Task, TaskOptions
from bebertlab.store.fingerprint import canonical


class Materials:
    """Loads each task and hashes each encoder once, however many trials need them."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._tasks: dict[str, Task] = {}
        self._digests: dict[str, str] = {}

    def task(self, options: TaskOptions) -> Task:
        """The loaded task."""
        key = canonical(self._codec.dump(options))
        if key not in self._tasks:
            self._tasks[key] = options.load()
        return self._tasks[key]

    def encoder_digest(self, options: EncoderOptions) -> str:
        """What the encoder's weights and vocabulary are, beside its options."""
        key = canonical(self._codec.dump(options))
        if key not in self._digests:
            self._digests[key] = options.digest()
        return self._digests[key]
