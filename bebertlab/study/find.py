"""The studies of a work folder, and names for studies, trials and stages on the command line.

A study is called by its name, `name@digest` or its folder's name; a stage by its key or the beginning of it, by its
name, or as STUDY/TRIAL/STAGE.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence, Set
from pathlib import Path

from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.locations import expand_home
from bebertlab.store.manifest import Manifest
from bebertlab.store.store import Store
from bebertlab.store.why import input_keys
from bebertlab.study.best import choose_best
from bebertlab.study.journal import read_records
from bebertlab.study.stored_study import StoredStudy, stored_studies

BEST = "best"  #: stands for the best trial in STUDY/TRIAL/STAGE

_KEY_START = re.compile(r"[0-9a-f]{4,64}")
_log = logging.getLogger("bebertlab.study")


def find_study(name: str, work: Path) -> StoredStudy:
    """The study of a name, `name@digest` or folder name.

    Of several studies with this name it is the latest one that is no smoke run, with a message; a smoke run is named as
    such.

    Raises:
        UserError: there is none.
    """
    studies = stored_studies(work)
    matches = [study for study in studies if name in (study.name, study.folder.name) or _is_label(name, study)]
    if not studies:
        raise UserError(f"unknown study '{name}'; {work} has no studies: run one first, or choose another --work")
    if not matches:
        raise UserError(f"unknown study '{name}' in {work}; {suggestion(name, {study.name for study in studies})}")
    chosen = ([study for study in matches if not study.is_smoke] or matches)[-1]
    if name == chosen.name:
        _warn_of_choice(name, chosen, [study for study in matches if study is not chosen])
    return chosen


def _warn_of_choice(name: str, chosen: StoredStudy, others: Sequence[StoredStudy]) -> None:
    """Name the study that was chosen by a name, where the user may expect another one."""
    if others:
        listed = ", ".join(f"{study.label}{' (smoke run)' if study.is_smoke else ''}" for study in others)
        full = " full one" if not chosen.is_smoke and any(study.is_smoke for study in others) else ""
        _log.warning(
            "several studies are named %s; this is the latest%s, %s (others: %s)", name, full, chosen.label, listed
        )
    if chosen.is_smoke:
        _log.warning("%s is a smoke run (--smoke); no full run of %s is in the work folder", chosen.label, name)


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


def find_key(name: str, work: Path) -> str:
    """The key of a stored stage, given its key or the beginning of it, its name, or STUDY/TRIAL/STAGE.

    Of several stages of a name the latest counts. TRIAL is e.g. "t007" or "best"; without STAGE it is the result.
    Colons may separate the three as well, as in "STUDY:best".

    Raises:
        UserError: no stored stage is called so, or the beginning of a key is that of several.
    """
    store = Store(work / "store")
    if "/" in name or ":" in name:
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


def find_model(name: str, work: Path, *, ensembles: bool = False) -> Path:
    """The folder of a model, given a folder, or a stored stage in one of the ways of `find_key`.

    A stage without a model, such as an evaluation, stands for the only model that it was built from; one that packed a
    model for the packed one. With `ensembles`, a stage that merged members has a model: all of them.

    Raises:
        UserError: there is no such folder or stage, it is a file, or it was built from several models.
    """
    from bebertlab.artifacts.packed import PACKED_FOLDER

    path = Path(expand_home(name))
    if os.path.isdir(path) and name:
        return path
    if os.path.isfile(path) and name:
        raise UserError(f"{name}: is a file, expected a folder with a model or the name of a stage")
    if path.is_absolute():
        raise UserError(f"{name}: no such folder")
    store = Store(work / "store")
    key = find_key(name, work)
    manifest = store.peek(key)
    if manifest is not None and has_packed(manifest):
        return store.folder(key) / PACKED_FOLDER
    from bebertlab.artifacts.merged import MERGED_FILE
    from bebertlab.model.folder import CONFIGURATION

    models = _models(store, key, {CONFIGURATION, MERGED_FILE} if ensembles else {CONFIGURATION})
    if len(models) == 1:
        return store.folder(models[0].key)
    label = manifest.stage if manifest else key[:12]
    if not models:
        raise UserError(f"{name}: stage '{label}' has no model")
    listed = ", ".join(f"{model.stage} ({model.key[:12]})" for model in models)
    raise UserError(f"{name}: stage '{label}' was built from {len(models)} models; choose one of {listed}")


def has_packed(manifest: Manifest) -> bool:
    """Whether a stage left a packed model."""
    from bebertlab.artifacts.packed import PACKED_FOLDER
    from bebertlab.model.folder import CONFIGURATION

    return f"{PACKED_FOLDER}/{CONFIGURATION}" in manifest.files


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
    study_name, trial_name, *below = re.split("[/:]", name, maxsplit=2)
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


def _models(store: Store, key: str, files: Set[str]) -> list[Manifest]:
    """The stage of a key if it has one of the files; otherwise the nearest upstream stages, in order of name."""
    manifest = store.peek(key)
    if manifest is None:
        return []
    if files & manifest.files.keys():
        return [manifest]
    keys = dict.fromkeys(input_keys(manifest))
    models = {model.key: model for input_key in keys for model in _models(store, input_key, files)}
    return sorted(models.values(), key=lambda model: model.stage)


def _is_label(name: str, study: StoredStudy) -> bool:
    return "@" in name and f"{study.name}@{study.digest}".startswith(name)
