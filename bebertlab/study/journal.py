"""The trials of a study on disk: an Optuna study in an append-only file, written by one driver at a time.

The file is the only truth about a study; whatever was killed, it says what is left to do. Each Optuna trial is one
attempt at one trial and carries its record; the last attempt counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from bebertlab.errors import SetupError
from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.store.disk import make_folder
from bebertlab.study.record import dump_record, load_record, new_record
from bebertlab.study.sampling import distributions, draw, parameters
from bebertlab.study.space import Trial, grid_points, planned_points, planned_trials, point_trials
from bebertlab.study.study import Study

if TYPE_CHECKING:
    import optuna

FILE = "journal.log"

_LOCK = "journal.lock"
_NAME = "study"  # a journal holds one study; its folder says which
_RECORD = "record"


class Journal:
    """The trials of one study. Open one with `open_journal`."""

    def __init__(self, study: Study, path: Path) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the console is the observers'
        self.planned = planned_trials(study)  #: trials in all, those that are not drawn yet included
        self._study = study
        self._storage = _storage(path)
        self._optuna = optuna.create_study(
            storage=self._storage, study_name=_NAME, direction=study.objective.goal, load_if_exists=True
        )
        self._study_id = self._storage.get_study_id_from_name(_NAME)
        self._records: dict[int, TrialRecord] = {}
        self._attempts: dict[int, int] = {}  # trial to its last attempt, an Optuna number
        self._load()

    def records(self) -> tuple[TrialRecord, ...]:
        """Every trial that there is so far, by number."""
        return tuple(self._records[number] for number in sorted(self._records))

    def extend(self) -> tuple[TrialRecord, ...]:
        """Add the trials that can be known now, and return them: the whole grid, or the next points of a sampler.

        A sampler draws the next batch when every trial of the one before has finished.
        """
        before = set(self._records)
        if self._study.sampler.kind == "grid":
            for index, point in enumerate(grid_points(self._study)):
                self._add(point_trials(self._study, index, point))
        else:
            self._extend_drawn()
        return tuple(record for record in self.records() if record.number not in before)

    def start(self, record: TrialRecord) -> None:
        """Note that a trial was handed out."""
        from optuna.trial import TrialState as Optuna

        self._write(record)
        trial_id = self._trial_id(record.number)
        if self._storage.get_trial(trial_id).state == Optuna.WAITING:
            self._storage.set_trial_state_values(trial_id, Optuna.RUNNING)

    def wait(self, record: TrialRecord) -> None:
        """Note that a trial that was handed out waits again."""
        self._write(attrs.evolve(record, state=TrialState.WAITING))

    def finish(self, record: TrialRecord) -> None:
        """Note how a trial ended: complete with the study's metric, or failed."""
        self.start(record)
        complete = record.state is TrialState.COMPLETE
        self._tell(self._attempts[record.number], record.metrics[self._study.objective.metric] if complete else None)

    def again(self, number: int) -> TrialRecord:
        """Give a finished trial another attempt, which counts from now on."""
        old = self._records[number]
        return self._create(Trial(number=number, point=old.parameters, seed=old.seed))

    def _load(self) -> None:
        for attempt in self._optuna.get_trials(deepcopy=False):
            if _RECORD in attempt.user_attrs:
                record = load_record(attempt.user_attrs[_RECORD])
                self._records[record.number] = record
                self._attempts[record.number] = attempt.number
            elif not attempt.state.is_finished():
                # drawn by a driver that was killed before it could say for which trial
                self._tell(attempt.number, None)

    def _extend_drawn(self) -> None:
        seeds = len(self._study.seeds)
        points = [self._records[number].parameters for number in sorted(self._records) if number % seeds == 0]
        for index, point in enumerate(points):  # a driver may have been killed between the seeds of a point
            self._add(point_trials(self._study, index, point))
        batch, wanted = self._study.sampler.batch, planned_points(self._study)
        settled = all(record.state in (TrialState.COMPLETE, TrialState.FAILED) for record in self._records.values())
        # a batch that a killed driver drew in part is completed first, as if nothing had happened
        if not settled and len(points) % batch == 0:
            return
        for index in range(len(points), min(wanted, (len(points) // batch + 1) * batch)):
            drawn = draw(self._study, self._optuna, index, points)
            points.append(drawn.point)
            first, *others = point_trials(self._study, index, drawn.point)
            self._attempts[first.number] = drawn.attempt
            self._write(new_record(first))
            self._add(others)

    def _add(self, trials: tuple[Trial, ...] | list[Trial]) -> None:
        for trial in trials:
            if trial.number not in self._records:
                self._create(trial)

    def _create(self, trial: Trial) -> TrialRecord:
        import optuna.trial

        record = new_record(trial)
        states = optuna.trial.TrialState
        template = optuna.trial.create_trial(
            # asking Optuna for a new point would hand out a waiting trial instead
            state=states.WAITING if self._study.sampler.kind == "grid" else states.RUNNING,
            params=parameters(self._study, trial.point),
            distributions=distributions(self._study),
            user_attrs={_RECORD: dump_record(record)},
        )
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=template)
        self._attempts[trial.number] = self._storage.get_trial_number_from_id(trial_id)
        self._records[trial.number] = record
        return record

    def _write(self, record: TrialRecord) -> None:
        self._storage.set_trial_user_attr(self._trial_id(record.number), _RECORD, dump_record(record))
        self._records[record.number] = record

    def _tell(self, attempt: int, value: float | None) -> None:
        from optuna.trial import TrialState as Optuna

        self._optuna.tell(attempt, value, state=Optuna.FAIL if value is None else Optuna.COMPLETE)

    def _trial_id(self, number: int) -> int:
        attempt = self._attempts[number]
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._study_id, attempt))


@contextmanager
def open_journal(study: Study, folder: Path) -> Iterator[Journal]:
    """The journal of a study in its folder, made where there is none; nobody else can write it meanwhile.

    Raises:
        SetupError: another run of the same study goes on, the folder cannot be written, or the file is damaged.
    """
    from filelock import FileLock, Timeout

    make_folder(folder)
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise SetupError(
            f"this study is being run by another process ({lock.lock_file} is locked); wait for it or stop it"
        ) from None
    except OSError as error:
        raise SetupError(f"{lock.lock_file}: cannot be made: {error.strerror or error}") from error
    try:
        _mend(folder / FILE)
        _check_lines(folder / FILE)
        yield Journal(study, folder / FILE)
    finally:
        lock.release()


def read_records(folder: Path) -> tuple[TrialRecord, ...]:
    """The trials in a journal, by number, also while a driver writes it; empty where there is none.

    Raises:
        SetupError: the file is damaged.
    """
    if not (folder / FILE).exists():
        return ()
    _check_lines(folder / FILE)
    storage = _storage(folder / FILE)
    records = {}
    for study in storage.get_all_studies():
        for attempt in storage.get_all_trials(study._study_id, deepcopy=False):
            if _RECORD in attempt.user_attrs:
                record = load_record(attempt.user_attrs[_RECORD])
                records[record.number] = record
    return tuple(records[number] for number in sorted(records))


class _OneWriter:
    """A lock for Optuna that does nothing: its own outlives a killed process, ours is held by the driver."""

    def acquire(self) -> bool:
        """Say that the lock is held."""
        return True

    def release(self) -> None:
        """Do nothing."""


def _storage(path: Path) -> optuna.storages.JournalStorage:
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    return JournalStorage(JournalFileBackend(str(path), lock_obj=_OneWriter()))


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
                raise SetupError(
                    f"{path}:{number}: the journal is damaged: this line is no entry; move the file away and run the "
                    "study again: stages that are finished are in the store and do not run again"
                )


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and "op_code" in entry


def _mend(path: Path) -> None:
    """Cut off a last line that a killed driver left unfinished: the next one would be written behind it."""
    if not path.exists():
        return
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        with path.open("r+b") as file:
            file.truncate(whole)
