"""What a model in a folder is, as one hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bebertlab.artifacts.content import content_digest
from bebertlab.nn.folder import CONFIGURATION, SURGERY
from bebertlab.nn.tokenizer import TOKENIZER_FILES
from bebertlab.nn.weight_files import weight_files

_FILES = (CONFIGURATION, SURGERY, *TOKENIZER_FILES)


def model_digest(folder: Path) -> str:
    """sha256 of the names and contents of the files that make a model and its tokenizer, wherever the folder lies.

    Raises:
        EnvironmentFault: there are no weights, or a file is a pointer of git-lfs.
        UserError: the index of its shards is damaged.
    """
    digest = hashlib.sha256()
    for path in model_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {content_digest(path)}\n".encode())
    return digest.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files that make a model and its tokenizer, of weights one kind only, sorted by name.

    Raises:
        EnvironmentFault: there are no weights, or a file of them is missing.
        UserError: the index of its shards is damaged.
    """
    named = (folder / name for name in _FILES)
    return sorted({*filter(Path.is_file, named), *weight_files(folder)})
