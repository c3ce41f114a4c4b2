"""Finding the files of a set in a local folder, by the names that the hub and its mirrors use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from bebertlab.api import VALIDATION, SetupError, UserError

_SUFFIX = ".parquet"
_DATA = "data"  #: where repositories of the hub keep their files
#: train-00000-of-00003.parquet; older files of the hub have a hash at the end of the name
_SHARD = re.compile(r"(?P<name>.+?)-(?P<number>\d{5})-of-(?P<total>\d{5})(-[0-9a-f]+)?")
_PART = re.compile(r"\d{4}")  #: train/0000.parquet, as the hub's own conversion names it
#: parts of the names of files that are not the official set
_MARKS = ("nonofficial", "subset")


@frozen(kw_only=True)
class FoundSet:
    """The files of one set, in order."""

    name: str
    files: tuple[Path, ...]

    @property
    def unofficial(self) -> bool:
        """Whether its name marks it as not the official set of the benchmark."""
        return _is_marked(self.name)


def _is_marked(name: str) -> bool:
    return any(mark in name for mark in _MARKS)


def find_home(folder: Path, task: str) -> Path:
    """The folder of a task, whose name may be spelled otherwise, such as SST-2.

    Raises:
        SetupError: there is none.
        UserError: there are several.
    """
    if (folder / task).is_dir():
        return folder / task
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    matching = [name for name in names if re.sub(r"[\W_]", "", name).casefold() == task]
    if len(matching) > 1:
        raise UserError(
            f"{folder}: both {' and '.join(matching)} may be the task '{task}'; keep one, or name it {task}"
        )
    if matching:
        return folder / matching[0]
    content = f"found: {', '.join(names)}" if names else f"{folder} does not exist"
    if folder.is_dir() and any(folder.glob(f"*{_SUFFIX}")):
        content = f"{folder} contains the files; give the folder above it"
    raise SetupError(f"{folder / task}: no folder of the task '{task}' ({content}); it should contain train{_SUFFIX}")


def find_set(home: Path, stored: str, *, nonofficial: bool) -> FoundSet:
    """The official set of a name, or a marked one if the user allows it.

    Raises:
        SetupError: it is missing.
        UserError: it lacks files, or occurs twice.
    """
    named = _named_files(home)
    if stored in named:
        return _whole(stored, named[stored])
    official = home / f"{stored}{_SUFFIX}"
    marked = [name for name in sorted(named) if name.startswith(f"{stored}_") and _is_marked(name)]
    if not marked:
        names = ", ".join(sorted(named)) or "none"
        raise SetupError(f"{official}: no such file; sets found in {home}: {names}{_renamed(stored, named)}")
    if not nonofficial:
        raise SetupError(
            f"{official}: the official set is missing, there is only"
            f" {' and '.join(f'{name}{_SUFFIX}' for name in marked)};"
            " --set task.nonofficial=true uses it, but the results are not GLUE scores then"
        )
    if len(marked) > 1:
        raise UserError(f"{home}: {' and '.join(marked)} may both be taken for {stored}; keep one of them")
    return _whole(marked[0], named[marked[0]])


def _renamed(stored: str, named: Mapping[str, Sequence[Path]]) -> str:
    names = [stored.replace(VALIDATION, short) for short in ("dev", "valid", "val")]
    other = next((name for name in names if name in named), None)
    return f"; rename {other}{_SUFFIX} to {stored}{_SUFFIX} if it is that set" if other else ""


def _named_files(home: Path) -> Mapping[str, Sequence[Path]]:
    """All parquet files by the name of their set."""
    named: dict[str, list[Path]] = {}
    for folder in (home, home / _DATA):
        for file in sorted(folder.glob(f"*{_SUFFIX}")):
            if file.is_file():
                shard = _SHARD.fullmatch(file.stem)
                named.setdefault(shard["name"] if shard else file.stem, []).append(file)
        for file in sorted(folder.glob(f"*/*{_SUFFIX}")):
            if file.is_file() and _PART.fullmatch(file.stem):
                named.setdefault(file.parent.name, []).append(file)
    return named


def _whole(name: str, files: Sequence[Path]) -> FoundSet:
    """The set of these files, if they are the shards of one set."""
    listed = ", ".join(file.name for file in files)
    home = files[0].parent
    if all(_PART.fullmatch(file.stem) for file in files):
        numbers, total = [int(file.stem) for file in files], len(files)
        if len({file.parent for file in files}) > 1:
            raise UserError(f"{home}: {name} occurs twice; keep one of them")
    else:
        shards = [_SHARD.fullmatch(file.stem) for file in files]
        if len(files) == 1 and shards[0] is None:
            return FoundSet(name=name, files=tuple(files))
        totals = {shard["total"] if shard else "" for shard in shards}
        if len(totals) > 1 or "" in totals:
            raise UserError(f"{home}: {name} occurs more than once ({listed}); keep one of them")
        numbers, total = [int(shard["number"]) for shard in shards if shard], int(totals.pop())
    if len(set(numbers)) < len(numbers):
        raise UserError(f"{home}: {name} occurs more than once ({listed}); keep one of them")
    missing = sorted(set(range(total)) - set(numbers))
    if missing:
        raise UserError(f"{home}: {name} is incomplete: of files 0 to {total - 1}, {missing[0]} is missing ({listed})")
    if len(numbers) > total:
        raise UserError(f"{home}: {name} has a file with a number above the total in its name ({listed})")
    return FoundSet(name=name, files=tuple(file for _, file in sorted(zip(numbers, files, strict=True))))
