"""Progress on the error stream: a live display on a terminal, otherwise one line per minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self, TextIO

from attrs import define, field
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
from bebertlab.interfaces.metric_names import TRAIN_LOSS
from bebertlab.redact import redact
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.tracking.pace import Pace
from bebertlab.training.curve import select_value

LINE_SECONDS = 60.0  #: at least, between two lines about the progress of a study

_SHOWN_STAGES = 8  #: at the same time
#: values of running stages that are shown, and what they are called
_SHOWN_VALUES = {TRAIN_LOSS: "loss", select_value("score"): "select", select_value("loss"): "select loss"}


class ConsoleProgress:
    """Shows the progress of a study. Writes nothing to the standard output, which is for results.

    A terminal has a live display. On a pipe or in a file there is a line at the start, then at most one line per
    minute with the trials and what runs, and a line at the end. Warnings and errors of trials are printed in both, each
    once.

    A context manager: leaving it restores the terminal, also after an error.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `stream`, by default the error stream; colours depend on NO_COLOR and the terminal."""
        self._console = Console(file=stream, stderr=stream is None, highlight=False, soft_wrap=True)
        self._clock = clock
        self._live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._display: Display | None = None
        self._pace = Pace(clock)
        self._running: dict[_Key, _Stage] = {}
        self._last_line = 0.0
        self._warned: set[str] = set()
        self._errors: set[str] = set()
        self._built = self._cached = self._failed = 0

    @hookimpl
    def bebertlab_study_started(self, study: StudyRecord) -> None:
        """Show which study starts, and how many trials are finished."""
        self._pace.begin(study.planned, study.finished, study.missing)
        self._line(f"study {study.name}@{study.digest[:8]} in {study.folder}: {self._pace.standing()}")
        if study.not_needed:
            self._line(unused_stages_line(study.not_needed))
        for text in study.idle:
            self._line(f"warning: {text}")
        self._last_line = self._clock()
        if self._live:
            self._display = Display(self._console, study.planned)
            self._update()

    @hookimpl
    def bebertlab_trial_started(self, study: StudyRecord, trial: TrialRecord) -> None:
        """Count the trials that run at the same time."""
        self._drop_stages(trial.number)
        self._pace.start(trial.number)
        self._update()

    @hookimpl
    def bebertlab_stage_started(self, event: StageStarted) -> None:
        """Show the stage."""
        self._show_stage(event)

    @hookimpl
    def bebertlab_stage_progress(self, event: StageProgress) -> None:
        """Show the progress of the stage."""
        self._show_stage(event)

    @hookimpl
    def bebertlab_stage_finished(self, event: StageFinished) -> None:
        """Count the stage."""
        self._warn(event)
        if event.stored:
            self._cached += 1
            self._pace.cached(event.key)
        else:
            self._built += 1
            self._pace.built(event.key, event.stage_kind, event.seconds)
        self._running.pop(_key(event), None)
        if self._display:
            self._display.remove(_key(event))
        self._update()

    @hookimpl
    def bebertlab_trial_finished(self, study: StudyRecord, trial: TrialRecord) -> None:
        """Count the trial; print its error if it failed."""
        self._pace.finish(trial.number, study.missing)
        self._drop_stages(trial.number)
        if trial.state is TrialState.FAILED:
            self._failed += 1
            error = trial.error or "no message"
            if error not in self._errors:
                self._errors.add(error)
                self._line(f"{trial.name} FAILED: {error}")
        self._update()

    @hookimpl
    def bebertlab_study_finished(
        self, study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]
    ) -> None:
        """Restore the terminal and print a summary."""
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
        """Remove the live display, if there is one."""
        if self._display:
            self._display.close()
            self._display = None

    def _show_stage(self, event: StageStarted | StageProgress) -> None:
        stage = self._running.setdefault(_key(event), _Stage())
        if isinstance(event, StageProgress):
            stage.update(event)
        if self._display:
            self._display.stage(event, stage.fraction, stage.text())
        self._update()

    def _drop_stages(self, trial: int) -> None:
        """Forget the running stages of a trial: one that failed or started over has a stage that did not finish."""
        for key in [key for key in self._running if key[0] == trial]:
            del self._running[key]
            if self._display:
                self._display.remove(key)

    def _update(self) -> None:
        """Show the state of the study: in the display, or as a line where the last one is a minute old."""
        if self._display:
            failed = f", {self._failed} failed" if self._failed else ""
            self._display.study(self._pace.done, f"{self._stages()}{failed}{self._left()}")
        elif not self._live and self._clock() - self._last_line >= LINE_SECONDS:
            self._last_line = self._clock()
            failed = f", {self._failed} failed" if self._failed else ""
            counts = f"{self._pace.standing()}, {self._pace.running} running{failed}"
            self._line(f"[{counts}] {'; '.join(self._running_stages()) or self._stages()}{self._left()}")

    def _running_stages(self) -> list[str]:
        texts = [f"{_label(key)} {stage.text(percent=True)}" for key, stage in self._running.items()]
        hidden = len(texts) - _SHOWN_STAGES
        return texts if hidden <= 0 else [*texts[:_SHOWN_STAGES], f"{hidden} more stages"]

    def _warn(self, event: StageFinished) -> None:
        """Print each warning once: the stages of other trials mostly repeat it."""
        for text in event.warnings:
            if text not in self._warned:
                self._warned.add(text)
                self._line(f"warning: {_label(_key(event))}: {text}")

    def _stages(self) -> str:
        return f"stages: {self._built} built, {self._cached} cached"

    def _left(self) -> str:
        seconds = self._pace.left()
        return "" if seconds is None else f"; about {format_duration(seconds, rough=True)} left"

    def _line(self, text: str) -> None:
        self._console.print(redact(text), markup=False)


_Key = tuple[int | None, str]
"""Trial and name of a stage."""


def unused_stages_line(stages: Sequence[str]) -> str:
    """The line that names stages which do not run."""
    return f"not run, as no result depends on them: {', '.join(stages)}"


def _key(event: StageEvent) -> _Key:
    return event.trial, event.stage


def _label(key: _Key) -> str:
    trial, stage = key
    return stage if trial is None else f"{trial_id(trial)} {stage}"


@define
class _Stage:
    """The last that is known of a running stage."""

    fraction: float = 0.0
    position: str = ""  #: e.g. "epoch 2/3"
    values: dict[str, float] = field(factory=dict)

    def update(self, event: StageProgress) -> None:
        self.fraction, self.position = event.fraction, event.text
        self.values.update(event.values)

    def text(self, *, percent: bool = False) -> str:
        values = [f"{name} {self.values[key]:.4g}" for key, name in _SHOWN_VALUES.items() if key in self.values]
        position = f"{self.fraction:.0%} {self.position}".rstrip() if percent else self.position
        return ", ".join([*([position] if position else []), *values])


class Display:
    """The live display; it is shown until `close` is called."""

    def __init__(self, console: Console, planned: int | None) -> None:
        self._trials = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._planned = planned
        self._study = self._trials.add_task("trials", total=planned, count="", text="")
        self._stages: dict[_Key, TaskID] = {}
        self._trials.start()

    def study(self, done: int, text: str) -> None:
        """Show the progress of the study."""
        count = f"{done}" if self._planned is None else f"{done}/{self._planned}"
        self._trials.update(self._study, completed=done, count=count, text=text)

    def stage(self, event: StageStarted | StageProgress, fraction: float, text: str) -> None:
        """Show the progress of a stage."""
        key = _key(event)
        if key not in self._stages:
            if len(self._stages) >= _SHOWN_STAGES:
                return
            self._stages[key] = self._trials.add_task(f"  {_label(key)}", total=1.0, count="", text="")
        self._trials.update(self._stages[key], completed=fraction, text=text)

    def remove(self, key: _Key) -> None:
        """Stop showing the stage of a name in a trial."""
        task = self._stages.pop(key, None)
        if task is not None:
            self._trials.remove_task(task)

    def renderable(self) -> RenderableType:
        """What is shown now."""
        return self._trials.get_renderable()

    def close(self) -> None:
        """Remove the display and restore the terminal."""
        self._trials.stop()
