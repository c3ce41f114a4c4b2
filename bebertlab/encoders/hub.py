"""Folders of pretrained models: a path, or the local cache of the Hugging Face hub, filled on request."""

from __future__ import annotations

from pathlib import Path

from bebertlab.artifacts.model import model_files
from bebertlab.data.tokenizer import TOKENIZER_FILES, VOCABULARY_FILE, has_tokenizer
from bebertlab.data.tokenizer_file import TOKENIZER_FILE
from bebertlab.errors import SetupError
from bebertlab.files import check_file
from bebertlab.model.folder import CONFIGURATION
from bebertlab.model.weight_files import WEIGHTS, refuse_adapter, weight_files
from bebertlab.network import reach_hub

_SHARDS = ("model-*.safetensors", "pytorch_model-*.bin")
_PATTERNS = (CONFIGURATION, *WEIGHTS, *_SHARDS, *TOKENIZER_FILES)


def model_folder(name: str, *, download: bool) -> Path:
    """The folder of a model by path or hub id.

    Raises:
        SetupError: it is nowhere, lacks files, has pointers of git-lfs instead, or the hub cannot be reached;
            said at once, not after retries.
        UserError: its index of shards is damaged, or it is of an adapter.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name, download=download)
    refuse_adapter(folder)
    if lacking := _lacking(folder):
        raise SetupError(f"encoder '{name}': {folder} has no {lacking}")
    for path in model_files(folder):
        check_file(path)
    return folder


def _lacking(folder: Path) -> str | None:
    if not (folder / CONFIGURATION).is_file():
        return CONFIGURATION
    if not any((folder / name).is_file() for name in WEIGHTS):
        return f"{WEIGHTS[0]} (nor {', '.join(WEIGHTS[1:])})"
    if not has_tokenizer(folder):
        return f"{VOCABULARY_FILE} (nor {TOKENIZER_FILE})"
    return None


def _has_shards(folder: Path) -> bool:
    try:
        return bool(weight_files(folder))
    except SetupError:
        return False


def _from_hub(name: str, *, download: bool) -> Path:
    cached = _cached(name)
    if cached is not None and _lacking(cached) is None and (not download or _has_shards(cached)):
        return cached
    if not download:
        raise SetupError(
            f"encoder '{name}': no such folder, and not in the local hub cache; "
            "give the path of a folder, or set `download: true` to fetch it from the hub"
        )
    return _fetched(name)


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise SetupError(f"encoder '{name}': no such folder, and not a hub id") from error


def _fetched(name: str) -> Path:
    from huggingface_hub import constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise SetupError(f"encoder '{name}': HF_HUB_OFFLINE is set, so nothing is downloaded")
    reach_hub(f"encoder '{name}'")
    try:
        return Path(snapshot_download(name, allow_patterns=list(_PATTERNS)))
    except OSError as error:  # the root of everything that the hub's client raises
        raise SetupError(f"encoder '{name}': not fetched from the hub: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
