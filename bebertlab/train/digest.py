"""What a task's data is, as one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from bebertlab.interfaces.task import Split


def content_digest(classes: tuple[str, ...], splits: Mapping[str, Split], score: str) -> str:
    """sha256 of everything that decides a result: classes, main metric, and of every split texts, order and labels.

    Ids and the name of the task decide nothing; neither does the order in which the splits are listed.
    """
    digest = hashlib.sha256(json.dumps([classes, score]).encode())
    for name in sorted(splits):
        split = splits[name]
        # JSON, not joined text: ["a", "b"] and ["a\0b"] must differ
        digest.update(json.dumps([name, split.texts, split.pairs, split.labels.dtype.name]).encode())
        digest.update(split.labels.astype(split.labels.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
