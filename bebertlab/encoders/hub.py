"""Folders of pretrained models: a path, or the local cache of the Hugging Face hub, filled on request."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bebertlab.errors import EnvironmentFault
from bebertlab.network import reach_hub

CONFIGURATION = "config.json"
#: the first of these that is there holds the weights
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
_TOKENIZER = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_SHARDS = "model-*.safetensors"
_PATTERNS = (CONFIGURATION, *WEIGHTS, _SHARDS, *_TOKENIZER)


def model_folder(name: str, *, download: bool) -> Path:
    """The folder of a model by path or hub id.

    Raises:
        EnvironmentFault: it is nowhere, lacks files, or the hub cannot be reached; said at once, not after retries.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name, download=download)
    if lacking := _lacking(folder):
        raise EnvironmentFault(f"encoder '{name}': {folder} has no {lacking}")
    return folder


def files_digest(folder: Path) -> str:
    """sha256 of the names and contents of all files that make the model."""
    digest = hashlib.sha256()
    for path in model_files(folder):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """Files that make the model: configuration, weights (one kind only) and tokenizer, sorted by name."""
    weights = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    shards = sorted(folder.glob(_SHARDS)) if weights == WEIGHTS[1] else []
    named = [folder / name for name in (CONFIGURATION, *_TOKENIZER, *([weights] if weights else []))]
    return sorted(path for path in [*named, *shards] if path.is_file())


def _lacking(folder: Path) -> str | None:
    if not (folder / CONFIGURATION).is_file():
        return CONFIGURATION
    if not any((folder / name).is_file() for name in WEIGHTS):
        return f"{WEIGHTS[0]} (nor {WEIGHTS[2]})"
    if not any((folder / name).is_file() for name in _TOKENIZER[:2]):
        return f"{_TOKENIZER[0]} (nor {_TOKENIZER[1]})"
    return None


def _from_hub(name: str, *, download: bool) -> Path:
    cached = _cached(name)
    if cached is not None and _lacking(cached) is None:
        return cached
    if not download:
        raise EnvironmentFault(
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
        raise EnvironmentFault(f"encoder '{name}': no such folder, and not a hub id") from error


def _fetched(name: str) -> Path:
    from huggingface_hub import constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise EnvironmentFault(f"encoder '{name}': HF_HUB_OFFLINE is set, so nothing is downloaded")
    reach_hub(f"encoder '{name}'")
    try:
        return Path(snapshot_download(name, allow_patterns=list(_PATTERNS)))
    except OSError as error:  # the root of everything that the hub's client raises
        raise EnvironmentFault(f"encoder '{name}': not fetched from the hub: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
