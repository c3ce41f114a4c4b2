"""The live display of a study on a terminal: a bar for the trials, a line for each stage that runs."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from bebertlab.interfaces.events import StageEvent

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

    def stage(self, event: StageEvent) -> None:
        """A stage runs, and how far it is."""
        key = (event.trial, event.stage)
        if key not in self._stages:
            if len(self._stages) >= _MOST:
                return
            name = f"  {event.stage}" if event.trial is None else f"  t{event.trial:03d} {event.stage}"
            self._stages[key] = self._trials.add_task(name, total=1.0, count="", words="")
        self._trials.update(self._stages[key], completed=event.fraction, words=event.text)

    def stage_done(self, event: StageEvent) -> None:
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
