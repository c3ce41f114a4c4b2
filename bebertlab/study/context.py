"""A study in a work folder: its journal, its plans and its store."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import asdict

from bebertlab.config.document import Keys, YamlDocument
from bebertlab.config.yaml import to_yaml
from bebertlab.errors import SetupError, UserError
from bebertlab.files import parse_json
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.task import Caveat
from bebertlab.pipeline.execute import SAVE_STATE_MINUTES, missing_stages
from bebertlab.pipeline.plan import ComputeSettings, Node, Plan
from bebertlab.store.store import Store
from bebertlab.study.driver import Driver, Limits
from bebertlab.study.executors.base import Executor
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.journal import Journal, new_record, read_records
from bebertlab.study.loaded_study import LoadedStudy
from bebertlab.study.messages import JobDefaults, PlannedTrial, load
from bebertlab.study.metrics import check_goal, check_metric
from bebertlab.study.overrides import resolve_axis
from bebertlab.study.planner import DataError, Planner, PointErrors, idle_axes, never_needed, planned, recipe_at
from bebertlab.study.resolved import RESOLVED_FILE, copy_plugins, resolved, study_folder, study_record
from bebertlab.study.space import Trial, listed_points, planned_trials, point_trials, show_point
from bebertlab.study.stored_study import write_study_info
from bebertlab.study.study import Study

_CAVEATS_FILE = "caveats.json"  # in the folder of a study, so that its status needs no data


class StudyContext:
    """Everything that a command needs of a study."""

    def __init__(self, source: LoadedStudy, work: Path, device: str = "cpu") -> None:
        self.study = source.study
        self.work = work
        self.folder = study_folder(source.study, work)
        self.store = Store(work / "store")
        self.observers = source.plugins.observers
        self._plugins = source.plugins
        self._device = device
        self._planner = Planner(source.plugins, ComputeSettings(threads=self.study.threads, device=device))
        self._plans: dict[int, Plan] = {}

    def observe(self, observer: object) -> None:
        """Add an observer."""
        self._plugins.observe(observer)

    def records(self) -> tuple[TrialRecord, ...]:
        """The trials in the journal, and those of a grid that are not in it yet."""
        return known_records(self.study, self.work)[1]

    def plan(self, record: TrialRecord) -> Plan:
        """The plan of a trial.

        Raises:
            UserError: it cannot run.
        """
        if record.number not in self._plans:
            self._plans[record.number] = self._planner.plan(self._recipe(record))
        return self._plans[record.number]

    def stages(self, records: Sequence[TrialRecord]) -> tuple[Mapping[str, Node], frozenset[str]]:
        """The stages of trials that can run, by their keys, and the keys of those that are not stored."""
        nodes: dict[str, Node] = {}
        missing: set[str] = set()
        for record in records:
            try:
                plan = self.plan(record)
            except UserError as error:  # a drawn point that cannot run
                self._raise_general(error)
                continue
            nodes |= {node.key: node for node in plan.ancestors(plan.result.name)}
            missing |= {plan.nodes[name].key for name in missing_stages(plan, self.store)}
        return nodes, frozenset(missing)

    def check_plans(self, records: tuple[TrialRecord, ...]) -> None:
        """Plan trials.

        Raises:
            UserError: some trials cannot run, one a line; or their data are invalid, or the result lacks a metric.
            SetupError: data are missing; the first such error.
        """
        errors = PointErrors(len({show_point(record.parameters) for record in records}))
        for record in records:
            try:
                self.plan(record)
            except UserError as error:
                self._raise_general(error)
                errors.note(record.parameters, error)
        errors.raise_all()
        tasks = {(plan.task.name, type(plan.result.stage)): plan for plan in map(self.plan, records)}
        for plan in tasks.values():
            self._check_metrics(plan)

    def check_drawn(self, records: tuple[TrialRecord, ...]) -> None:
        """Check the data and the metrics of points that a sampler draws; one that cannot run is a failed trial.

        Raises:
            UserError: the data of every point are invalid, or the result lacks a metric.
            SetupError: data are missing.
        """
        self._check_metrics(self._first_plan(records))

    def _check_metrics(self, plan: Plan) -> None:
        infos = [metric.info for metric in plan.task.metrics]
        for objective in self.study.goals:
            listed = bool(self.study.objectives)
            check_metric(objective.metric, plan, place="objectives" if listed else "objective")
            check_goal(objective.metric, objective.goal, infos, listed=listed)
        for index, constraint in enumerate(self.study.constraints):
            check_metric(constraint.metric, plan, place=f"constraints[{index}]")

    def observed(self, journal: Journal | None = None) -> StudyRecord:
        """The study for observers, with the present state of the journal."""
        records = self.records() if journal is None else journal.records()
        known = journal is not None and self.study.is_listed
        nodes, missing = self.stages(records) if known else ({}, frozenset())
        task = self._first_plan(records).task
        tasks = [task, *(plan.task for _, plan in self._plans_of(records))]
        return study_record(
            self.study,
            self.work,
            task,
            caveats=tuple(dict.fromkeys(caveat for task in tasks for caveat in task.caveats)),
            texts=self._plugins.texts,
            planned=planned_trials(self.study),
            finished=sum(record.state is TrialState.COMPLETE for record in records),
            missing={key: nodes[key].kind for key in missing},
            not_needed=self.not_needed(records),
            idle=self.idle(records),
        )

    def not_needed(self, records: Sequence[TrialRecord]) -> tuple[str, ...]:
        """The stages of the recipe that no trial needs; they do not run."""
        plans = [plan for _, plan in self._plans_of(records)]
        return never_needed(
            (plan.recipe.stages, {node.top for node in plan.ancestors(plan.result.name)}) for plan in plans
        )

    def idle(self, records: Sequence[TrialRecord]) -> tuple[str, ...]:
        """A sentence on each searched option that the results of these trials do not depend on."""
        trials = [(record, plan.result.key) for record, plan in self._plans_of(records)]
        unused = {("stages", name) for name in self.not_needed(records)}
        idle = idle_axes(self.study.search, trials)
        return tuple(
            f"search: {path} changes nothing: trials that differ in it alone have the same result"
            for path in self.study.search
            if path in idle or self._keys(path)[:2] in unused
        )

    def _plans_of(self, records: Sequence[TrialRecord]) -> list[tuple[TrialRecord, Plan]]:
        """The trials that can run with their plans."""
        plans: list[tuple[TrialRecord, Plan]] = []
        for record in records:
            try:
                plans.append((record, self.plan(record)))
            except UserError as error:  # a drawn point that cannot run
                self._raise_general(error)
        return plans

    def open_again(self, journal: Journal) -> None:
        """Run failed trials again, and complete ones whose result has another key today.

        The cause of a failure may be gone; stages that finished are in the store. A key differs where the data, the
        revision of a part or the version of a package in the keys changed since the trial ran.
        """
        for record in journal.records():
            stale = record.state is TrialState.COMPLETE and record.stages[-1].key != self.plan(record).result.key
            if stale or record.state is TrialState.FAILED:
                journal.again(record.number)

    def write_resolved(self, record: StudyRecord) -> None:
        """Write the resolved study and its plugins next to its journal: running that file continues the study."""
        write_study_info(record)
        copy_plugins(self._plugins.texts, self.folder)
        _replace(self.folder / RESOLVED_FILE, to_yaml(record.resolved))
        caveats = [asdict(caveat) for caveat in record.caveats]
        _replace(self.folder / _CAVEATS_FILE, json.dumps(caveats, indent=2) + "\n")

    def run(
        self,
        journal: Journal,
        record: StudyRecord,
        executor: Executor,
        interrupts: Interrupts,
        limits: Limits,
        save_state_minutes: float = SAVE_STATE_MINUTES,
    ) -> None:
        """Run the trials that are left.

        Raises:
            KeyboardInterrupt: the user interrupted.
        """
        defaults = JobDefaults(
            metrics=self.study.compared,
            store=self.store.root.absolute(),
            plugins=tuple(map(Path, self.study.plugins)),
            threads=self.study.threads,
            device=self._device,
            save_state_minutes=save_state_minutes,
        )
        driver = Driver(
            study=record,
            journal=journal,
            defaults=defaults,
            limits=limits,
            observers=self.observers,
            plan=self._planned,
            stored=lambda key: self.store.folder(key).is_dir(),
        )
        driver.run(executor, interrupts)

    def _first_plan(self, records: Sequence[TrialRecord]) -> Plan:
        """The plan of the first trial that can be planned."""
        records = records or [new_record(Trial(number=0, point={}, seed=self.study.seeds[0]))]
        for record in records[:-1]:
            try:
                return self.plan(record)
            except UserError as error:  # a drawn point that cannot run
                self._raise_general(error)
        return self.plan(records[-1])

    def _raise_general(self, error: UserError) -> None:
        """Raise an error that concerns more than one point: something is missing, or data that all points share."""
        if isinstance(error, SetupError) or (isinstance(error, DataError) and not self._task_varies()):
            raise error

    def _task_varies(self) -> bool:
        return any(self._keys(path)[0] == "task" for path in self.study.search)

    def _keys(self, path: str) -> Keys:
        study = YamlDocument.of(resolved(self.study))
        return resolve_axis(study, YamlDocument.of(self.study.recipe), path, self._plugins.registry)

    def _planned(self, record: TrialRecord) -> PlannedTrial:
        return planned(self.plan(record), self._recipe(record))

    def _recipe(self, record: TrialRecord) -> Mapping[str, object]:
        return recipe_at(self.study, record.parameters, record.seed, self._plugins.registry)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def known_caveats(folder: Path) -> tuple[Caveat, ...]:
    """The caveats of the data of a study that ran in a folder; none where it never ran.

    Raises:
        UserError: the file with them is damaged.
    """
    path = folder / _CAVEATS_FILE
    if not path.is_file():
        return ()
    try:
        return load(parse_json(path.read_text(encoding="utf-8")), tuple[Caveat, ...])
    except (UserError, ValueError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path}: damaged: {line}; run the study again to write the file") from error


def known_records(study: Study, work: Path) -> tuple[Path, tuple[TrialRecord, ...]]:
    """The folder of a study, and the trials of its journal and its grid; nothing is planned or loaded."""
    folder = study_folder(study, work)
    known = {record.number: record for record in read_records(folder)}
    for index, point in enumerate(listed_points(study)):
        for trial in point_trials(study, index, point):
            known.setdefault(trial.number, new_record(trial))
    return folder, tuple(known[number] for number in sorted(known))
