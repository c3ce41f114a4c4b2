"""Where a packed model is: a folder, or a repository of the Hugging Face hub, which is downloaded into its cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bebertlab.data.tokenizer import TOKENIZER_FILES
from bebertlab.errors import SetupError, first_line
from bebertlab.model.folder import CONFIGURATION, TENSORS
from bebertlab.packed.contract import CARD

_FILES = (CONFIGURATION, TENSORS, CARD, *TOKENIZER_FILES)  #: others, such as code, are not downloaded


def packed_folder(name: str | os.PathLike[str], options: Mapping[str, Any]) -> Path:
    """The folder of a model; `options` are those of `snapshot_download`.

    Raises:
        SetupError: there is neither such a folder nor such a repository, or the hub cannot be reached.
    """
    path = Path(name)
    if path.is_dir():
        return path
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(os.fspath(name), allow_patterns=list(_FILES), **options))
    except (OSError, ValueError) as error:  # the base classes of everything that the hub's client raises
        reason = first_line(error)
        raise SetupError(f"{path}: no such folder, and not read from the hub: {reason}") from error
