"""Progress on the error stream: a live display on a terminal, else one line an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.events import (
    StageEvent,
    StageFinished,
    StageProgress,
    StageStarted,
    StudyRecord,
    TrialRecord,
    TrialState,
    trial_id,
)
from bebertlab.redact import redact
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.tracking.pace import Pace

QUIET_SECONDS = 60.0  #: between two lines about the progress of one stage
BRIEF_SECONDS = 0.5  #: stages that took less have no line of their own


class ConsoleProgress:
    """Says what a study does while it runs. Writes nothing to the standard output, which is for results.

    A context manager: leaving it gives the terminal back, whatever happened.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `stream`, by default the error stream; colours follow NO_COLOR and what the terminal can do."""
        self._console = Console(file=stream, stderr=stream is None, highlight=False, soft_wrap=True)
        self._clock = clock
        self._live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._display: Display | None = None
        self._pace = Pace(clock)
        self._told: dict[tuple[int | None, str], float] = {}
        self._warned: set[str] = set()
        self._errors: dict[str, str] = {}  # to the first trial that ended with it
        self._ran = self._stored = self._failed = 0

    @hookimpl
    def bebertlab_study_started(self, study: StudyRecord) -> None:
        """Say what starts, and where it stands."""
        self._pace.begin(study.planned, study.finished, study.missing)
        self._line(f"study {study.name}@{study.digest[:8]} in {study.folder}: {self._pace.standing()}")
        if study.not_needed:
            self._line(f"not run, as no trial's result needs them: {', '.join(study.not_needed)}")
        for text in study.idle:
            self._line(f"warning: {text}")
        if self._live:
            self._display = Display(self._console, study.planned)
            self._show()

    @hookimpl
    def bebertlab_trial_started(self, study: StudyRecord, trial: TrialRecord) -> None:
        """Count the trials that run at once."""
        self._pace.start(trial.number)

    @hookimpl
    def bebertlab_stage_started(self, event: StageStarted) -> None:
        """Show a stage that runs."""
        self._told[event.trial, event.stage] = self._clock()
        if self._display:
            self._display.stage(event)

    @hookimpl
    def bebertlab_stage_progress(self, event: StageProgress) -> None:
        """Show how far it is; as lines only now and then."""
        if self._display:
            self._display.stage(event)
        elif self._clock() - self._told.get((event.trial, event.stage), 0.0) >= QUIET_SECONDS:
            self._told[event.trial, event.stage] = self._clock()
            self._line(f"{_of(event)}: {event.fraction:.0%} {event.text}".rstrip())

    @hookimpl
    def bebertlab_stage_finished(self, event: StageFinished) -> None:
        """Count it; a stage from the store, or one that took no time, needs no line of its own."""
        self._warn(event)
        if event.stored:
            self._stored += 1
            self._pace.found(event.key)
        else:
            self._ran += 1
            self._pace.made(event.key, event.stage_kind, event.seconds)
            self._line(
                f"{_of(event)} done in {format_duration(event.seconds)}",
                quiet=self._live or event.seconds < BRIEF_SECONDS,
            )
        if self._display:
            self._display.stage_done(event)
            self._show()

    @hookimpl
    def bebertlab_trial_finished(self, study: StudyRecord, trial: TrialRecord) -> None:
        """Say how the trial ended."""
        self._failed += trial.state is TrialState.FAILED
        self._pace.finish(trial.number, study.missing)
        if self._display:
            self._display.trial_done(trial.number)
            self._show()
        self._line(
            f"[{self._pace.standing()}] {self._ended(study, trial)}{self._left()}",
            quiet=self._live and trial.state is TrialState.COMPLETE,
        )

    @hookimpl
    def bebertlab_study_finished(
        self, study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]
    ) -> None:
        """Give the terminal back and sum up."""
        self.close()
        complete = sum(trial.state is TrialState.COMPLETE for trial in trials)
        failed = sum(trial.state is TrialState.FAILED for trial in trials)
        left = max(study.planned or 0, len(trials)) - complete - failed
        parts = [f"{complete} complete"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{left} not run"] if left else []
        self._line(f"{', '.join(parts)}; {self._stages()}; {format_duration(self._pace.elapsed())}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the live display away; nothing where there is none."""
        if self._display:
            self._display.close()
            self._display = None

    def _warn(self, event: StageFinished) -> None:
        """Print each warning once: the stages of other trials mostly say the same."""
        for text in event.warnings:
            if text not in self._warned:
                self._warned.add(text)
                self._line(f"warning: {_of(event)}: {text}")

    def _ended(self, study: StudyRecord, trial: TrialRecord) -> str:
        if trial.state is TrialState.FAILED:
            error = trial.error or "no message"
            first = self._errors.setdefault(error, trial.id)
            return f"{trial.name} FAILED{f': {error}' if first == trial.id else f', as {first} did'}"
        score = trial.metrics.get(study.objective)
        reached = "" if score is None else f" {study.objective} {score:.4g}"
        return f"{trial.name}{reached} in {format_duration(trial.seconds)}"

    def _show(self) -> None:
        if self._display:
            words = [self._stages()]
            words += [f"{self._failed} failed"] if self._failed else []
            self._display.study(self._pace.done, ", ".join(words) + self._left())

    def _stages(self) -> str:
        return f"stages: {self._ran} run, {self._stored} from the store"

    def _left(self) -> str:
        seconds = self._pace.left()
        return "" if seconds is None else f"; about {format_duration(seconds, rough=True)} left"

    def _line(self, text: str, *, quiet: bool = False) -> None:
        if not quiet:
            self._console.print(redact(text), markup=False)


def _of(event: StageEvent) -> str:
    return event.stage if event.trial is None else f"{trial_id(event.trial)} {event.stage}"


_MOST = 8  #: stages shown at once


class Display:
    """Starts when it is made; `close` takes it away."""

    def __init__(self, console: Console, planned: int | None) -> None:
        self._trials = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._planned = planned
        self._study = self._trials.add_task("trials", total=planned, count="", words="")
        self._stages: dict[tuple[int | None, str], TaskID] = {}
        self._trials.start()

    def study(self, done: int, words: str) -> None:
        """How far the study is."""
        count = f"{done}" if self._planned is None else f"{done}/{self._planned}"
        self._trials.update(self._study, completed=done, count=count, words=words)

    def stage(self, event: StageStarted | StageProgress) -> None:
        """A stage runs, and how far it is."""
        key = (event.trial, event.stage)
        if key not in self._stages:
            if len(self._stages) >= _MOST:
                return
            name = f"  {event.stage}" if event.trial is None else f"  {trial_id(event.trial)} {event.stage}"
            self._stages[key] = self._trials.add_task(name, total=1.0, count="", words="")
        if isinstance(event, StageProgress):
            self._trials.update(self._stages[key], completed=event.fraction, words=event.text)

    def stage_done(self, event: StageFinished) -> None:
        """A stage is no longer shown."""
        task = self._stages.pop((event.trial, event.stage), None)
        if task is not None:
            self._trials.remove_task(task)

    def trial_done(self, trial: int) -> None:
        """No stage of the trial is shown any longer: a failed one leaves a stage that never finished."""
        for key in [key for key in self._stages if key[0] == trial]:
            self._trials.remove_task(self._stages.pop(key))

    def renderable(self) -> RenderableType:
        """What is on the screen now."""
        return self._trials.get_renderable()

    def close(self) -> None:
        """Take the display away and leave the terminal as it was."""
        self._trials.stop()
