"""The trials of a study on disk: an Optuna study in an append-only file, written by one driver at a time.

The file alone decides what is left to do, whatever was killed. Each Optuna trial is one attempt at one of our trials
and holds its record; the last attempt counts.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from bebertlab.errors import SetupError, UserError
from bebertlab.formats import JOURNAL
from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.interfaces.sampler import SamplerOptions, SearchTrial
from bebertlab.store.disk import make_folder
from bebertlab.study.messages import dump, load
from bebertlab.study.sampling import PointSource, distributions, parameters
from bebertlab.study.space import Trial, listed_points, planned_points, planned_trials, point_trials
from bebertlab.study.study import Study

if TYPE_CHECKING:
    import optuna

FILE = "journal.log"

LOCK = "journal.lock"
_NAME = "study"  # a journal holds one study; its folder says which
_RECORD = "record"
_FORMAT_KEY = "bebertlab_format"


class Journal:
    """The trials of one study. Use `open_journal` to open one."""

    def __init__(self, study: Study, path: Path) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # observers report on the console
        self.planned = planned_trials(study)  #: all trials, also those that are not drawn yet
        self._study = study
        self._storage = _storage(path)
        _check_format(self._storage, path)
        self._optuna = optuna.create_study(
            storage=self._storage,
            study_name=_NAME,
            directions=[objective.goal for objective in study.goals],
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(_NAME)
        if _FORMAT_KEY not in self._optuna.user_attrs:
            self._optuna.set_user_attr(_FORMAT_KEY, JOURNAL.number)
            self._name_metrics([objective.metric for objective in study.goals])
        self._records: dict[int, TrialRecord] = {}
        self._attempts: dict[int, int] = {}  # trial to its last attempt, an Optuna number
        self._load(path)

    def _name_metrics(self, names: list[str]) -> None:
        """Name the values of trials, as optuna-dashboard shows them."""
        from optuna.exceptions import ExperimentalWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._optuna.set_metric_names(names)

    def records(self) -> tuple[TrialRecord, ...]:
        """The trials so far, by number."""
        return tuple(self._records[number] for number in sorted(self._records))

    def extend(self) -> tuple[TrialRecord, ...]:
        """Add the trials that can be known now, and return them: all points of a grid, or the next batch of a sampler.

        A batch is drawn when every trial of the one before has finished.
        """
        before = set(self._records)
        if isinstance(self._study.sampler, SamplerOptions):
            self._draw_batch(self._study.sampler)
        else:
            for index, point in enumerate(listed_points(self._study)):
                self._add(point_trials(self._study, index, point))
        return tuple(record for record in self.records() if record.number not in before)

    def start(self, record: TrialRecord) -> None:
        """Record that a trial was given out."""
        from optuna.trial import TrialState as Optuna

        self._write(record)
        trial_id = self._trial_id(record.number)
        if self._storage.get_trial(trial_id).state == Optuna.WAITING:
            self._storage.set_trial_state_values(trial_id, Optuna.RUNNING)

    def wait(self, record: TrialRecord) -> None:
        """Record that a trial that was given out waits again."""
        self._write(attrs.evolve(record, state=TrialState.WAITING))

    def finish(self, record: TrialRecord) -> None:
        """Record how a trial ended: complete with the metrics of the objectives, or failed."""
        from optuna.trial import TrialState as Optuna

        self.start(record)
        values, attempt = self._values(record), self._attempts[record.number]
        for name, excess in self._excesses(record).items() if values is not None else ():
            self._storage.set_trial_system_attr(self._trial_id(record.number), f"constraints:{name}", excess)
        self._optuna.tell(attempt, values, state=Optuna.FAIL if values is None else Optuna.COMPLETE)

    def again(self, number: int) -> TrialRecord:
        """Give a finished trial another attempt, which counts from now on."""
        old = self._records[number]
        return self._create(Trial(number=number, point=old.parameters, seed=old.seed))

    def _load(self, path: Path) -> None:
        for attempt in self._optuna.get_trials(deepcopy=False):
            record = _load_record(attempt.user_attrs[_RECORD], path)
            self._records[record.number] = record
            self._attempts[record.number] = attempt.number

    def _draw_batch(self, sampler: SamplerOptions) -> None:
        seeds = len(self._study.seeds)
        points = [self._records[number].parameters for number in sorted(self._records) if number % seeds == 0]
        for index, point in enumerate(points):  # a driver may have been killed between the seeds of a point
            self._add(point_trials(self._study, index, point))
        settled = all(record.state in (TrialState.COMPLETE, TrialState.FAILED) for record in self._records.values())
        # a batch of which a killed driver drew a part is completed first, with the same results before it
        if not settled and len(points) % sampler.batch == 0:
            return
        first = len(points) // sampler.batch * sampler.batch
        source = PointSource(self._study, sampler)
        for index in range(len(points), min(planned_points(self._study), first + sampler.batch)):
            trials = [self._search_trial(record, pending=record.number >= first * seeds) for record in self.records()]
            self._add(point_trials(self._study, index, source.draw(index, trials)))

    def _search_trial(self, record: TrialRecord, *, pending: bool) -> SearchTrial:
        values = None if pending else self._values(record)
        excesses = () if values is None else tuple(self._excesses(record).values())
        return SearchTrial(point=record.parameters, values=values, excesses=excesses, pending=pending)

    def _values(self, record: TrialRecord) -> tuple[float, ...] | None:
        if record.state is not TrialState.COMPLETE:
            return None
        return tuple(record.metrics[objective.metric] for objective in self._study.goals)

    def _excesses(self, record: TrialRecord) -> dict[str, float]:
        """By how much a complete trial breaks each constraint, by the constraint's text."""
        return {str(limit): limit.excess(record.metrics[limit.metric]) for limit in self._study.constraints}

    def _add(self, trials: tuple[Trial, ...] | list[Trial]) -> None:
        for trial in trials:
            if trial.number not in self._records:
                self._create(trial)

    def _create(self, trial: Trial) -> TrialRecord:
        import optuna.trial

        record = new_record(trial)
        states = optuna.trial.TrialState
        template = optuna.trial.create_trial(
            state=states.WAITING if self._study.is_listed else states.RUNNING,
            params=parameters(self._study, trial.point),
            distributions=distributions(self._study, trial.point),
            user_attrs={_RECORD: dump(record)},
        )
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=template)
        self._attempts[trial.number] = self._storage.get_trial_number_from_id(trial_id)
        self._records[trial.number] = record
        return record

    def _write(self, record: TrialRecord) -> None:
        self._storage.set_trial_user_attr(self._trial_id(record.number), _RECORD, dump(record))
        self._records[record.number] = record

    def _trial_id(self, number: int) -> int:
        attempt = self._attempts[number]
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._study_id, attempt))


@contextmanager
def open_journal(study: Study, folder: Path) -> Iterator[Journal]:
    """The journal of a study in its folder, created if needed; no other process can write it meanwhile.

    Raises:
        SetupError: the study is running, its folder cannot be written, or the file is damaged.
        OtherFormat: another version of bebertlab wrote the file.
    """
    from filelock import FileLock, Timeout

    make_folder(folder)
    lock = FileLock(folder / LOCK, timeout=1)  # `study list` holds it for a moment
    try:
        lock.acquire()
    except Timeout:
        raise SetupError(
            f"this study is being run by another process ({lock.lock_file} is locked); wait for it or stop it"
        ) from None
    except OSError as error:
        raise SetupError(f"{lock.lock_file}: cannot be created: {error.strerror or error}") from error
    try:
        _repair(folder / FILE)
        _check_lines(folder / FILE)
        yield Journal(study, folder / FILE)
    finally:
        lock.release()


def read_records(folder: Path) -> tuple[TrialRecord, ...]:
    """The trials in a journal, by number, also while a driver writes it; empty where there is none.

    Raises:
        SetupError: the file is damaged.
        OtherFormat: another version of bebertlab wrote it.
    """
    if not (folder / FILE).exists():
        return ()
    _check_lines(folder / FILE)
    path = folder / FILE
    storage = _storage(path)
    _check_format(storage, path)
    records = {}
    for study in storage.get_all_studies():
        for attempt in storage.get_all_trials(study._study_id, deepcopy=False):
            if _RECORD in attempt.user_attrs:
                record = _load_record(attempt.user_attrs[_RECORD], path)
                records[record.number] = record
    return tuple(records[number] for number in sorted(records))


def new_record(trial: Trial) -> TrialRecord:
    """The record of a waiting trial."""
    return TrialRecord(
        number=trial.number, name=trial.name, parameters=trial.point, seed=trial.seed, state=TrialState.WAITING
    )


def _load_record(data: object, path: Path) -> TrialRecord:
    try:
        return load(data, TrialRecord)
    except UserError as error:
        raise _damaged(str(path), " ".join(str(error).split())) from error


def _check_format(storage: optuna.storages.JournalStorage, path: Path) -> None:
    """Check that the records of a journal are of this version's format.

    Raises:
        OtherFormat: they are not.
        SetupError: the first entry, the one of the study, is lost.
    """
    if not storage.get_all_studies() and path.exists() and path.stat().st_size:
        raise _damaged(str(path), "its first entry is lost")
    for study in storage.get_all_studies():
        if storage.get_all_trials(study._study_id, deepcopy=False):
            JOURNAL.check(study.user_attrs.get(_FORMAT_KEY), path)


class _NoLock:
    """A lock for Optuna that does nothing: Optuna's own outlives a killed process, and the driver holds ours."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _storage(path: Path) -> optuna.storages.JournalStorage:
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=_NoLock()))
    except OSError:
        raise
    except Exception as error:  # Optuna reads the entries without checks
        raise _damaged(str(path), f"Optuna cannot read it ({type(error).__name__}: {error})") from error


def _check_lines(path: Path) -> None:
    """Check that every whole line of a journal is one that Optuna wrote.

    Raises:
        SetupError: a line is not.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n") and not _is_entry(line):
                raise _damaged(f"{path}:{number}", "this line is not an entry")


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and "op_code" in entry


def _damaged(place: str, what: str) -> SetupError:
    return SetupError(
        f"{place}: the journal is damaged: {what}; move the file away and run the study again: finished stages are in "
        "the store and do not run again"
    )


def _repair(path: Path) -> None:
    """Cut off an incomplete last line of a killed driver: the next entry would be appended to it."""
    if not path.exists():
        return
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        with path.open("r+b") as file:
            file.truncate(whole)
