from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from attrs import evolve
from rich.console import Console

from bebertlab.interfaces.events import (
    StageFinished,
    StageProgress,
    StageStarted,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from bebertlab.tracking.console import ConsoleProgress, Display


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _started(stage: str, trial: int | None = 2) -> StageStarted:
    return StageStarted(stage=stage, stage_kind="k", key="k", trial=trial)


def _progress(
    stage: str, fraction: float, text: str = "", trial: int | None = 2, values: Mapping[str, float] | None = None
) -> StageProgress:
    return StageProgress(
        stage=stage, stage_kind="k", key="k", trial=trial, fraction=fraction, text=text, values=values or {}
    )


def _finished(stage: str, **more: object) -> StageFinished:
    return evolve(StageFinished(stage=stage, stage_kind="k", key="k", trial=2), **more)  # type: ignore[arg-type]


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _run(progress: ConsoleProgress, study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    """A study of four trials, of which the second fails."""
    progress.bebertlab_study_started(study)
    progress.bebertlab_stage_started(_started("teacher", None))
    progress.bebertlab_stage_progress(_progress("teacher", 0.5, trial=None))
    progress.bebertlab_stage_finished(_finished("teacher", trial=None, seconds=2.0))
    progress.bebertlab_stage_finished(_finished("merge", seconds=0.01))
    failed = evolve(trials[1], state=TrialState.FAILED, metrics={}, error="[binary] the loss became NaN")
    for trial in (trials[0], failed, *trials[2:]):
        progress.bebertlab_trial_started(study, trial)
        progress.bebertlab_stage_finished(_finished("teacher", trial=trial.number, stored=True))
        progress.bebertlab_trial_finished(study, trial)
    progress.bebertlab_study_finished(study, (trials[0], failed, *trials[2:]), ())


def test_a_short_study_prints_a_first_and_a_last_line(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    stream = io.StringIO()
    _run(ConsoleProgress(stream, clock=_Clock()), study, trials)
    start, error, end = stream.getvalue().splitlines()
    assert start.startswith("study tiny_study@abcdef12 in ")
    assert start.endswith(": 0/4")
    # square brackets of an error are no markup
    assert error == "t001 members.size=1 seed=1 FAILED: [binary] the loss became NaN"
    assert end.startswith("3 complete, 1 failed; stages: 2 built, 4 cached; ")
    assert "\x1b" not in stream.getvalue()


def test_without_a_terminal_one_line_per_minute_is_printed(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    clock, stream = _Clock(), io.StringIO()
    progress = ConsoleProgress(stream, clock=clock)
    progress.bebertlab_study_started(evolve(study, planned=4, missing={"a": "finetune", "b": "distill"}))
    for trial in trials[:2]:
        progress.bebertlab_trial_started(study, trial)
    start, times = clock.now, []
    for second in range(240):
        clock.now = start + second
        before = len(stream.getvalue())
        values = {"train/loss": 1 / (second + 1), "train/learning_rate": 5e-5} if second % 20 == 0 else {}
        progress.bebertlab_stage_progress(_progress("binary", second / 240, "labels: epoch 1/2", 0, values))
        progress.bebertlab_stage_progress(_progress("teacher", second / 240, "", 1))
        if second == 100:
            score = {"select/score": 84.25}
            progress.bebertlab_stage_progress(_progress("binary", second / 240, "labels: epoch 1/2", 0, score))
        if len(stream.getvalue()) > before:
            times.append(second)
    assert times == [60, 120, 180]
    first, second_line, _ = stream.getvalue().splitlines()[1:]
    assert first == "[0/4, 2 running] t000 binary 25% labels: epoch 1/2, loss 0.01639; t001 teacher 25%"
    assert second_line == (
        "[0/4, 2 running] t000 binary 50% labels: epoch 1/2, loss 0.008264, select 84.25; t001 teacher 50%"
    )


def test_the_line_counts_failures_and_estimates_the_remaining_time(
    study: StudyRecord, trials: tuple[TrialRecord, ...]
) -> None:
    clock, stream = _Clock(), io.StringIO()
    progress = ConsoleProgress(stream, clock=clock)
    progress.bebertlab_study_started(evolve(study, planned=8))
    for number, trial in enumerate(trials):
        progress.bebertlab_trial_started(study, trial)
        progress.bebertlab_stage_started(_started("merge", number))
        clock.now += 20.0
        state = TrialState.FAILED if number == 1 else TrialState.COMPLETE
        progress.bebertlab_trial_finished(study, evolve(trial, state=state, error="no memory" if number == 1 else None))
    lines = stream.getvalue().splitlines()[1:]
    assert lines == [
        "t001 members.size=1 seed=1 FAILED: no memory",
        "[3/8, 0 running, 1 failed] stages: 0 built, 0 cached; about 2 min left",
    ]


def test_many_stages_do_not_fill_the_log(study: StudyRecord) -> None:
    clock, stream = _Clock(), io.StringIO()
    progress = ConsoleProgress(stream, clock=clock)
    progress.bebertlab_study_started(study)
    for number in range(11):
        progress.bebertlab_stage_started(_started("binary", number))
    clock.now += 60.0
    progress.bebertlab_stage_progress(_progress("binary", 0.5, "", 3))
    line = stream.getvalue().splitlines()[-1]
    assert line.count("binary") == 8
    assert line.endswith("; 3 more stages")


def test_stages_that_no_result_depends_on_are_named(study: StudyRecord) -> None:
    stream = io.StringIO()
    ConsoleProgress(stream).bebertlab_study_started(
        evolve(study, not_needed=("binary", "tuned"), idle=("it changes nothing",))
    )
    assert stream.getvalue().splitlines()[1:] == [
        "not run, as no result depends on them: binary, tuned",
        "warning: it changes nothing",
    ]


def test_a_terminal_shows_failures_and_is_restored(
    study: StudyRecord, trials: tuple[TrialRecord, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = _Terminal()
    _run(ConsoleProgress(stream), study, trials)
    text = stream.getvalue()
    assert "FAILED: [binary] the loss became NaN" in text
    assert "t000 members.size=1 seed=0 validation/score" not in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0
    assert "3 complete, 1 failed" in text.splitlines()[-1]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_disabled(
    study: StudyRecord, trials: tuple[TrialRecord, ...], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, value)
    stream = _Terminal()
    _run(ConsoleProgress(stream), study, trials)
    assert not any(f"\x1b[{code}" in stream.getvalue() for code in ("3", "38;5;", "1;3"))


def test_an_error_restores_the_terminal(study: StudyRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    progress = ConsoleProgress(stream)

    def interrupted() -> None:
        with progress:
            progress.bebertlab_study_started(study)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")


def test_the_standard_output_stays_empty(
    study: StudyRecord, trials: tuple[TrialRecord, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    _run(ConsoleProgress(), study, trials)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "tiny_study" in captured.err


def test_skipped_trials_are_counted(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    stream = io.StringIO()
    progress = ConsoleProgress(stream)
    progress.bebertlab_study_started(evolve(study, planned=10, finished=2))
    progress.bebertlab_study_finished(evolve(study, planned=10), trials[:2], ())
    assert ": 2/10" in stream.getvalue()
    assert "2 complete, 8 not run" in stream.getvalue()


def test_a_warning_is_printed_once_with_the_stage_that_gave_it(study: StudyRecord) -> None:
    stream = io.StringIO()
    progress = ConsoleProgress(stream)
    progress.bebertlab_study_started(study)
    progress.bebertlab_stage_finished(_finished("old", warnings=("50 of 100 texts [validation] are cut",)))
    progress.bebertlab_stage_finished(
        _finished("old", trial=3, stored=True, warnings=("50 of 100 texts [validation] are cut",))
    )
    lines = [line for line in stream.getvalue().splitlines() if "cut" in line]
    assert lines == ["warning: t002 old: 50 of 100 texts [validation] are cut"]


def test_an_error_is_printed_once(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    stream = io.StringIO()
    progress = ConsoleProgress(stream)
    progress.bebertlab_study_started(study)
    for trial, error in zip(trials, ("a is wrong", "b is wrong", "a is wrong"), strict=False):
        failed = evolve(trial, state=TrialState.FAILED, metrics={}, error=error)
        progress.bebertlab_trial_finished(study, failed)
    assert [line.split(" FAILED: ")[1] for line in stream.getvalue().splitlines()[1:]] == ["a is wrong", "b is wrong"]


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
