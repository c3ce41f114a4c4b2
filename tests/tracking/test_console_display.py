from __future__ import annotations

import io

from rich.console import Console

from bebertlab.interfaces.events import StageFinished, StageProgress
from bebertlab.tracking.console import Display


def _event(stage: str, trial: int | None = 0, fraction: float = 0.0) -> StageProgress:
    return StageProgress(stage=stage, stage_kind="k", key="k", trial=trial, fraction=fraction, text="epoch 1/2")


def _shown(display: Display) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(display.renderable())
    return stream.getvalue()


def test_what_runs_is_shown_until_it_is_done() -> None:
    display = Display(Console(file=io.StringIO(), force_terminal=True), 4)
    try:
        display.study(1, "stages: 2 run")
        display.stage(_event("teacher", None))
        display.stage(_event("binary", 1, 0.5))
        shown = _shown(display)
        assert all(words in shown for words in ("1/4", "stages: 2 run", "  teacher", "t001 binary", "epoch 1/2"))
        display.stage_done(StageFinished(stage="teacher", stage_kind="k", key="k"))
        display.trial_done(1)
        assert not any(words in _shown(display) for words in ("teacher", "binary"))
        display.stage_done(StageFinished(stage="never shown", stage_kind="k", key="k", trial=0))
    finally:
        display.close()


def test_many_stages_do_not_fill_the_screen() -> None:
    display = Display(Console(file=io.StringIO(), force_terminal=True), None)
    try:
        for trial in range(30):
            display.stage(_event("binary", trial))
        assert _shown(display).count("binary") == 8
    finally:
        display.close()


def test_the_terminal_is_given_back() -> None:
    stream = io.StringIO()
    display = Display(Console(file=stream, force_terminal=True), 4)
    display.close()
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")
