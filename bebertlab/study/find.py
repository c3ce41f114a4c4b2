"""The studies of a work folder, and names for studies, trials and stages on the command line.

A study is called by its name, `name@digest` or its folder's name; a stage by its key or the beginning of it, by its
name, or as STUDY/TRIAL/STAGE.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen, validators
from filelock import FileLock, Timeout

from bebertlab.errors import UserError, suggestion
from bebertlab.formats import STUDY_FOLDER
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.sampler import Objective
from bebertlab.locations import expand_home
from bebertlab.ranking import rank_points
from bebertlab.store.disk import make_folder
from bebertlab.store.manifest import Manifest
from bebertlab.store.store import Store
from bebertlab.store.why import INPUTS
from bebertlab.study.journal import FILE as JOURNAL_FILE
from bebertlab.study.journal import LOCK as JOURNAL_LOCK
from bebertlab.study.journal import read_records
from bebertlab.study.messages import dump, load
from bebertlab.study.resolved import RESOLVED_FILE, STUDIES

INFO_FILE = "study.json"
BEST = "best"  #: stands for the best trial in STUDY/TRIAL/STAGE

_DIGITS = 8  #: of a digest in the name of a folder
_KEY_START = re.compile(r"[0-9a-f]{4,64}")
_log = logging.getLogger("bebertlab.study")


@frozen(kw_only=True)
class StoredStudy:
    """A study in a work folder, as its `study.json` describes it."""

    name: str
    digest: str
    folder: Path
    #: what trials are compared by; the first one is the primary objective
    objectives: tuple[Objective, ...] = field(validator=validators.min_len(1))
    planned: int | None = None  #: number of trials; None if it is not known

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


@frozen(kw_only=True)
class BestPoint:
    """The point with the best mean of the primary objective."""

    parameters: Mapping[str, Any]  #: searched paths to values
    trials: tuple[TrialRecord, ...]  #: the complete ones, one per seed, by seed
    values: tuple[float, ...]  #: means of the objectives over seeds
    points: int  #: number of points with complete trials, of which this one is the best
    trial: TrialRecord  #: the one with the best value of the primary objective


@frozen(kw_only=True)
class StudyStatus:
    """The state of a study in its folder."""

    state: str  #: complete, failed, incomplete or running
    complete: int  #: trials
    failed: int  #: trials
    trials: int  #: planned, or known so far
    best: float | None = None  #: mean of the primary objective over seeds at the best point


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
    }
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


def find_study(name: str, work: Path) -> StoredStudy:
    """The study of a name, `name@digest` or folder name; of several with this name the latest, with a message.

    Raises:
        UserError: there is none.
    """
    studies = stored_studies(work)
    matches = [study for study in studies if name in (study.name, study.folder.name) or _is_label(name, study)]
    if not studies:
        raise UserError(f"unknown study '{name}'; {work} has no studies: run one first, or choose another --work")
    if not matches:
        raise UserError(f"unknown study '{name}' in {work}; {suggestion(name, {study.name for study in studies})}")
    if len(matches) > 1:
        others = ", ".join(study.label for study in matches[:-1])
        _log.warning(
            "several studies are named %s; this is the latest, %s (others: %s)", name, matches[-1].label, others
        )
    return matches[-1]


def find_study_file(name: str, work: Path) -> Path:
    """The file of a study, given its path or the name of a study in the work folder.

    Raises:
        UserError: there is neither such a file nor such a study.
    """
    path = Path(expand_home(name))
    if os.path.isfile(path) and name:  # unlike Path.is_file, False for a name that is too long
        return path
    if os.path.isdir(path) and name:
        raise UserError(f"{name}: is a folder, expected a file or the name of a study")
    if path.suffix in (".yaml", ".yml") or os.sep in name:
        raise UserError(f"{name}: no such file")
    return find_study(name, work).file


def study_status(study: StoredStudy) -> StudyStatus:
    """How far a study is, from its journal.

    Raises:
        SetupError: the journal is corrupt or of another format.
    """
    trials = read_records(study.folder)
    states = [trial.state for trial in trials]
    complete, failed = states.count(TrialState.COMPLETE), states.count(TrialState.FAILED)
    total = max(study.planned or 0, len(trials))
    best = find_best(study, trials)
    return StudyStatus(
        state=_state(study, states, total),
        complete=complete,
        failed=failed,
        trials=total,
        best=best.values[0] if best else None,
    )


def find_best(study: StoredStudy, trials: Sequence[TrialRecord]) -> BestPoint | None:
    """The best point of a study by the mean of its primary objective over seeds; None without complete trials."""
    points = rank_points(study.objectives, trials)
    if not points:
        return None
    best, objective = points[0], study.objectives[0]
    choose = max if objective.maximize else min
    return BestPoint(
        parameters=best.parameters,
        trials=tuple(sorted(best.trials, key=lambda trial: trial.seed)),
        values=best.values,
        points=len(points),
        trial=choose(best.trials, key=lambda trial: trial.metrics[objective.metric]),
    )


def read_stored_study(folder: Path) -> StoredStudy:
    """The study in a folder of the work folder.

    Raises:
        UserError: it never ran, its `study.json` is damaged, or another version of bebertlab wrote the folder.
    """
    if not _is_study(folder):
        raise UserError(f"this study never ran here ({folder} does not exist); run it first")
    return _read_info(folder)


def choose_best(study: StoredStudy, seed: int | None = None) -> BestPoint:
    """The best point of a study, with the trial of a seed instead of the best one.

    Raises:
        UserError: no trial is complete, or none of the best point has this seed.
    """
    best = find_best(study, read_records(study.folder))
    if best is None:
        raise UserError(f"study {study.label} has no complete trial yet")
    if seed is None:
        return best
    seeds = {trial.seed: trial for trial in best.trials}
    if seed not in seeds:
        raise UserError(f"the best point has no complete trial with seed {seed}; known: {', '.join(map(str, seeds))}")
    return evolve(best, trial=seeds[seed])


def find_key(name: str, work: Path) -> str:
    """The key of a stored stage, given its key or the beginning of it, its name, or STUDY/TRIAL/STAGE.

    Of several stages of a name the latest counts. TRIAL is e.g. "t007" or "best"; without STAGE it is the result.

    Raises:
        UserError: no stored stage is called so, or the beginning of a key is that of several.
    """
    store = Store(work / "store")
    if "/" in name:
        return _key_of_trial(name, store, work)
    if _KEY_START.fullmatch(name):
        keys = sorted(folder.name for folder in store.root.glob(f"{name[:2]}/{name}*/"))
        if len(keys) > 1:
            listed = ", ".join(key[: len(name) + 4] for key in keys[:5])
            raise UserError(f"'{name}' is the beginning of {len(keys)} keys ({listed} ...); give more of it")
        if keys:
            return keys[0]
    manifests = list(store.manifests())
    named = sorted((m for m in manifests if m.stage == name), key=lambda manifest: manifest.created)
    if not named:
        raise UserError(
            f"unknown stage or key '{name}' in {store.root}; {suggestion(name, {m.stage for m in manifests})}"
        )
    return named[-1].key


def find_model(name: str, work: Path) -> Path:
    """The folder of a model, given a folder, or a stored stage in one of the ways of `find_key`.

    A stage without a model, such as an evaluation, stands for the only model that it was built from.

    Raises:
        UserError: there is no such folder or stage, or it was built from several models.
    """
    path = Path(expand_home(name))
    if os.path.isdir(path) and name:
        return path
    store = Store(work / "store")
    key = find_key(name, work)
    models = _models(store, key)
    if len(models) == 1:
        return store.folder(models[0].key)
    manifest = store.peek(key)
    label = manifest.stage if manifest else key[:12]
    if not models:
        raise UserError(f"{name}: stage '{label}' has no model")
    listed = ", ".join(f"{model.stage} ({model.key[:12]})" for model in models)
    raise UserError(f"{name}: stage '{label}' was built from {len(models)} models; choose one of {listed}")


def stage_key(trial: TrialRecord, stage: str | None) -> str:
    """The key of a stage of a finished trial; of its result without a stage.

    Raises:
        UserError: the trial has no such stage, or has not finished.
    """
    if trial.state not in (TrialState.COMPLETE, TrialState.FAILED) or not trial.stages:
        raise UserError(f"trial {trial.id} is {trial.state} and has no finished stages")
    keys = {event.stage: event.key for event in trial.stages}
    if stage is None:
        return trial.stages[-1].key
    if stage in keys:
        return keys[stage]
    members = [name for name in keys if name.startswith(f"{stage}.")]
    if len(members) == 1:
        return keys[members[0]]
    raise UserError(f"unknown stage '{stage}' of trial {trial.id}; {suggestion(stage, members or keys)}")


def _key_of_trial(name: str, store: Store, work: Path) -> str:
    study_name, trial_name, *below = name.split("/", 2)
    study = find_study(study_name, work)
    key = stage_key(_find_trial(study, trial_name), below[0] if below else None)
    if store.peek(key) is None:
        raise UserError(f"{name} has the key {key[:12]}, which is not in {store.root}; run the study again to build it")
    return key


def _find_trial(study: StoredStudy, name: str) -> TrialRecord:
    """The trial of a number ("t007" or "7"), or the best one.

    Raises:
        UserError: there is none.
    """
    if name == BEST:
        return choose_best(study).trial
    trials = read_records(study.folder)
    number = name.removeprefix("t")
    for trial in trials:
        if number.isdecimal() and trial.number == int(number):
            return trial
    known = f"known: {BEST}" + (f", {trials[0].id} to {trials[-1].id}" if trials else "")
    raise UserError(f"unknown trial '{name}' of study {study.label}; {known}")


def _models(store: Store, key: str) -> list[Manifest]:
    """The stage of a key if it has a model; otherwise the nearest upstream stages that have one, in order of name."""
    from bebertlab.model.folder import CONFIGURATION

    manifest = store.peek(key)
    if manifest is None:
        return []
    if CONFIGURATION in manifest.files:
        return [manifest]
    inputs = manifest.parts.get(INPUTS)
    values = inputs.values() if isinstance(inputs, Mapping) else ()
    keys = dict.fromkeys(item for value in values for item in (value if isinstance(value, list) else [value]) if item)
    models = {model.key: model for input_key in keys for model in _models(store, str(input_key))}
    return sorted(models.values(), key=lambda model: model.stage)


def _state(study: StoredStudy, states: Sequence[TrialState], total: int) -> str:
    if study.is_running:
        return "running"
    finished = states.count(TrialState.COMPLETE) + states.count(TrialState.FAILED)
    if finished < total or not total:
        return "incomplete"
    return "failed" if TrialState.FAILED in states else "complete"


def _is_label(name: str, study: StoredStudy) -> bool:
    return "@" in name and f"{study.name}@{study.digest}".startswith(name)


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
        info = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"not valid JSON: {error}") from error
    data = info if isinstance(info, dict) else {}
    STUDY_FOLDER.check(data.get("format"), path)
    return data


def _damaged(path: Path, error: str) -> UserError:
    return UserError(f"{path}: {error}; delete this study's folder: its finished stages are in the store")
