"""The studies of a work folder, as their `study.json` describes them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import field, frozen, validators
from filelock import FileLock, Timeout

from bebertlab.errors import UserError
from bebertlab.files import parse_json
from bebertlab.formats import STUDY_FOLDER
from bebertlab.interfaces.events import StudyRecord
from bebertlab.interfaces.sampler import Constraint, Objective
from bebertlab.store.disk import make_folder
from bebertlab.study.journal import FILE as JOURNAL_FILE
from bebertlab.study.journal import LOCK as JOURNAL_LOCK
from bebertlab.study.messages import dump, load
from bebertlab.study.resolved import RESOLVED_FILE, STUDIES

INFO_FILE = "study.json"

_DIGITS = 8  #: of a digest in the name of a folder
_log = logging.getLogger("bebertlab.study")


@frozen(kw_only=True)
class StoredStudy:
    """A study in a work folder, as its `study.json` describes it."""

    name: str
    digest: str
    folder: Path
    #: what trials are compared by; the first one is the primary objective
    objectives: tuple[Objective, ...] = field(validator=validators.min_len(1))
    constraints: tuple[Constraint, ...] = ()  #: limits that a point has to keep to be best
    planned: int | None = None  #: number of trials; None if it is not known
    is_smoke: bool = False  #: whether it is the small version that --smoke runs

    @property
    def label(self) -> str:
        """The name with the beginning of the digest, which no other study has."""
        return f"{self.name}@{self.digest[:_DIGITS]}"

    @property
    def file(self) -> Path:
        """The resolved study; running it continues this study."""
        return self.folder / RESOLVED_FILE

    @property
    def changed(self) -> datetime:
        """When the study last ran."""
        paths = [path for path in (self.folder / JOURNAL_FILE, self.folder / INFO_FILE) if path.exists()]
        return datetime.fromtimestamp(max(path.stat().st_mtime for path in paths), UTC)

    @property
    def is_running(self) -> bool:
        """Whether a process runs the study now."""
        lock = self.folder / JOURNAL_LOCK
        if not lock.exists():
            return False
        try:
            with FileLock(lock).acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:  # a folder that only others may write: whether they do cannot be seen
            return False


def write_study_info(study: StudyRecord) -> None:
    """Write the `study.json` of a study.

    Raises:
        OtherFormat: the folder was written by another version of bebertlab.
        SetupError: the folder cannot be created.
    """
    make_folder(study.folder)
    _check_folder(study.folder)
    info = {
        "format": STUDY_FOLDER.number,
        "name": study.name,
        "digest": study.digest,
        "objectives": [dump(objective) for objective in study.objectives],
        "planned": study.planned,
        "is_smoke": study.is_smoke,
    }
    if study.constraints:
        info["constraints"] = [dump(constraint) for constraint in study.constraints]
    unfinished = study.folder / f".{INFO_FILE}.part"
    unfinished.write_text(json.dumps(info, indent=1), encoding="utf-8")
    os.replace(unfinished, study.folder / INFO_FILE)


def stored_studies(work: Path) -> tuple[StoredStudy, ...]:
    """The studies of a work folder, the latest last; those that cannot be read are left out with a warning."""
    studies = []
    for folder in sorted(work.glob(f"{STUDIES}/*/")):
        if not _is_study(folder):
            continue
        try:
            studies.append(_read_info(folder))
        except UserError as error:
            _log.warning("%s", error)
    return tuple(sorted(studies, key=lambda study: study.changed))


def read_stored_study(folder: Path) -> StoredStudy:
    """The study in a folder of the work folder.

    Raises:
        UserError: it never ran, its `study.json` is damaged, or another version of bebertlab wrote the folder.
    """
    if not _is_study(folder):
        raise UserError(f"this study never ran here ({folder} does not exist); run it first")
    return _read_info(folder)


def check_study_file(path: Path) -> None:
    """Refuse the file of a study in a work folder if another version of bebertlab wrote it.

    Raises:
        OtherFormat: it did.
        UserError: the `study.json` next to it is damaged.
    """
    folder = path.parent
    if path.name == RESOLVED_FILE and any((folder / name).exists() for name in (INFO_FILE, JOURNAL_FILE)):
        _check_folder(folder)


def _is_study(folder: Path) -> bool:
    return (folder / INFO_FILE).exists() or (folder / RESOLVED_FILE).exists()


def _read_info(folder: Path) -> StoredStudy:
    info = {key: value for key, value in _check_folder(folder).items() if key != "format"}
    try:
        return load({**info, "folder": str(folder)}, StoredStudy)
    except UserError as error:
        raise _damaged(folder / INFO_FILE, " ".join(str(error).split())) from error


def _check_folder(folder: Path) -> Mapping[str, Any]:
    """The data of a folder's `study.json`, {} without one; refuses a folder of another version of bebertlab."""
    path = folder / INFO_FILE
    if not path.exists():
        if _is_study(folder):
            STUDY_FOLDER.check(None, folder)
        return {}
    try:
        info = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, f"not valid JSON: {error}") from error
    data = info if isinstance(info, dict) else {}
    STUDY_FOLDER.check(data.get("format"), path)
    return data


def _damaged(path: Path, error: str) -> UserError:
    return UserError(f"{path}: {error}; delete this study's folder: its finished stages are in the store")
