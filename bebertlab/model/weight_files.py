"""Which files of a folder hold the weights of its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bebertlab.errors import SetupError, UserError
from bebertlab.files import check_file, read_json

#: of these the first that a folder has is read, as in transformers; all others are ignored
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_INDEX = ".index.json"
_ADAPTER = "adapter_config.json"
_FETCH = "fetch it again"
#: weights in formats that are not read, which an error names if there are no others
_OTHERS = ("adapter_model.safetensors", "adapter_model.bin", "tf_model.h5", "flax_model.msgpack", "*.onnx", "*.gguf")


def weight_files(path: Path) -> tuple[Path, ...]:
    """The files that are opened to read the weights of a folder: one, or an index and its shards, sorted by name.

    `path` may also be the file of weights, or the index, itself.

    Raises:
        SetupError: one of them is missing, or a pointer of git-lfs.
        UserError: the index is damaged, or names a file outside the folder.
    """
    first = _first(path) if path.is_dir() else path
    check_file(first)
    if not is_index(first):
        return (first,)
    return (first, *(first.parent / shard for shard in sorted(set(shard_of_names(first).values()))))


def refuse_adapter(folder: Path) -> None:
    """Check that a folder is not of an adapter (LoRA and others), which transformers puts into another model.

    Raises:
        UserError: it is.
    """
    if (folder / _ADAPTER).is_file():
        raise UserError(
            f"{folder} has {_ADAPTER}, so it holds an adapter for another model; merge the two (`merge_and_unload`) and"
            " save the result"
        )


def is_index(path: Path) -> bool:
    """Whether a file says which shard holds which tensor."""
    return path.name.endswith(_INDEX)


def shard_of_names(index: Path) -> Mapping[str, str]:
    """The file of every tensor according to an index, relative to its folder; checks that all of them exist.

    Raises:
        SetupError: the index or a shard is missing, or a pointer of git-lfs.
        UserError: the index is damaged, or names a file outside the folder.
    """
    try:
        shards = read_json(index).get("weight_map")
    except SetupError:
        raise
    except UserError as error:
        reason = str(error).removeprefix(f"{index}: ")
        raise UserError(f"{index}: not an index of shards ({reason}); {_FETCH}") from error
    if not isinstance(shards, dict) or not shards:
        problem = "missing" if shards is None else "not a mapping of tensors to files"
        raise UserError(f"{index}: not an index of shards (weight_map is {problem}); {_FETCH}")
    for name, shard in shards.items():
        if not _is_inside(shard):
            shown = name if name.isprintable() else repr(name)
            raise UserError(f"{index}: {shown} is in {shard!r}, which is not a file of this folder; {_FETCH}")
    for shard in sorted(set(shards.values())):
        check_file(index.parent / shard)
    return shards


def _first(folder: Path) -> Path:
    first = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if first is not None:
        return first
    others = sorted(path.name for pattern in _OTHERS for path in folder.glob(pattern))
    unreadable = f"; {', '.join(others)} cannot be read" if others else ""
    raise SetupError(f"{folder} has no {WEIGHTS[0]} (nor {', '.join(WEIGHTS[1:])}){unreadable}")


def _is_inside(shard: object) -> bool:
    # by its name only: links may point anywhere, and the cache of the hub consists of links
    if not isinstance(shard, str) or not shard or not shard.isprintable():
        return False
    path = PurePosixPath(shard)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
