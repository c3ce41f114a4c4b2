from __future__ import annotations

import io

from rich.console import Console

from bebertlab.interfaces.events import StageProgress
from bebertlab.tracking.console import Display


def _event(stage: str, trial: int | None = 0) -> StageProgress:
    return StageProgress(stage=stage, stage_kind="k", key="k", trial=trial)


def _shown(display: Display) -> str:
    stream = io.StringIO()
    Console(file=stream, width=140).print(display.renderable())
    return stream.getvalue()


def test_running_stages_are_shown_until_they_are_done() -> None:
    display = Display(Console(file=io.StringIO(), force_terminal=True), 4)
    try:
        display.study(1, "stages: 2 built")
        display.stage(_event("teacher", None), 0.0, "")
        display.stage(_event("binary", 1), 0.5, "epoch 1/2, loss 0.25")
        shown = _shown(display)
        for text in ("1/4", "stages: 2 built", "  teacher", "t001 binary", "epoch 1/2, loss 0.25"):
            assert text in shown
        display.remove((None, "teacher"))
        assert "teacher" not in _shown(display)
        assert "binary" in _shown(display)
        display.remove((0, "never shown"))
    finally:
        display.close()


def test_many_stages_do_not_fill_the_screen() -> None:
    display = Display(Console(file=io.StringIO(), force_terminal=True), None)
    try:
        for trial in range(30):
            display.stage(_event("binary", trial), 0.0, "")
        assert _shown(display).count("binary") == 8
    finally:
        display.close()


def test_closing_restores_the_terminal() -> None:
    stream = io.StringIO()
    display = Display(Console(file=stream, force_terminal=True), 4)
    display.close()
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")
