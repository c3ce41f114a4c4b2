"""Checks of services: Ray, the MLflow database, the hub."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bebertlab.cli.health.finding import Finding, Mark
from bebertlab.config.humanize import format_duration
from bebertlab.errors import SetupError

if TYPE_CHECKING:
    from bebertlab.interfaces.events import StageEvent
    from bebertlab.study.messages import TrialJob, TrialOutcome


def ray() -> Iterable[Finding]:
    """Start and stop the executor `ray` without trials."""
    from bebertlab.study.executors.ray import RayExecutor
    from bebertlab.study.interrupts import Interrupts

    start = time.monotonic()
    with Interrupts() as interrupts:
        RayExecutor(jobs=1).run(_Idle(), interrupts)
    yield Finding("ray", Mark.OK, f"starts and stops in {format_duration(time.monotonic() - start)}")


def tracking(work: Path) -> Iterable[Finding]:
    """Whether the MLflow database of a work folder can be read; creates and changes nothing."""
    file = work.resolve() / "mlflow.db"
    if not file.exists():
        yield Finding("mlflow", Mark.OK, f"{file}: does not exist yet; the first study creates it")
        return
    hint = "move the file away: the next run of a study creates a new one and writes its trials again"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=5)) as database:
            (schema,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
            (runs,) = database.execute("SELECT count(*) FROM runs").fetchone()
            problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except (sqlite3.Error, TypeError) as error:  # no row at all is a TypeError
        yield Finding("mlflow", Mark.FAIL, f"{file}: cannot be read: {error}", hint)
        return
    if problem != "ok":
        yield Finding("mlflow", Mark.FAIL, f"{file}: corrupt: {problem}", hint)
    else:
        yield Finding("mlflow", Mark.OK, f"{file}: {runs} runs, schema {schema}")


def hub() -> Iterable[Finding]:
    """Whether the Hugging Face hub can be reached."""
    from bebertlab.network import reach_hub

    try:
        reach_hub("hub")
    except SetupError as error:
        hint = "studies of local data do not need it; set HTTPS_PROXY for a proxy, HF_ENDPOINT for a mirror"
        yield Finding("hub", Mark.FAIL, str(error).removeprefix("hub: "), hint)
    else:
        yield Finding("hub", Mark.OK, "can be reached")


class _Idle:
    """A source without trials."""

    def next_job(self) -> TrialJob | None:
        return None

    def is_done(self) -> bool:
        return True

    def on_event(self, event: StageEvent) -> None:
        pass

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        pass

    def on_lost(self, number: int, error: str) -> None:
        pass
