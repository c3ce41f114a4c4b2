from __future__ import annotations

import io

import pytest
from attrs import evolve

from bebertlab.interfaces.events import (
    StageFinished,
    StageProgress,
    StageStarted,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from bebertlab.tracking.console import ConsoleProgress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _started(stage: str, trial: int | None = 2) -> StageStarted:
    return StageStarted(stage=stage, stage_kind="k", key="k", trial=trial)


def _progress(stage: str, fraction: float, text: str = "", trial: int | None = 2) -> StageProgress:
    return StageProgress(stage=stage, stage_kind="k", key="k", trial=trial, fraction=fraction, text=text)


def _finished(stage: str, **more: object) -> StageFinished:
    return evolve(StageFinished(stage=stage, stage_kind="k", key="k", trial=2), **more)  # type: ignore[arg-type]


def _run(progress: ConsoleProgress, study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
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


def test_one_line_an_event_where_there_is_no_terminal(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    stream = io.StringIO()
    _run(ConsoleProgress(stream), study, trials)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("study tiny_study@abcdef12 in ")
    assert lines[0].endswith(": 0/4")
    # a merge takes no time and has no line
    assert lines[1] == "teacher done in 2.00 s"
    assert lines[2].startswith("[1/4] t000 members.size=1 seed=0 validation/score 81 in 1.50 s")
    # square brackets of an error are no markup
    assert lines[3].startswith("[2/4] t001 members.size=1 seed=1 FAILED: [binary] the loss became NaN")
    assert "; about 1 s left" in lines[4]
    assert lines[-1].startswith("3 complete, 1 failed; stages: 2 run, 4 from the store; ")
    assert len(lines) == 7
    assert "\x1b" not in stream.getvalue()


def test_stages_that_no_trial_needs_are_named(study: StudyRecord) -> None:
    stream = io.StringIO()
    ConsoleProgress(stream).bebertlab_study_started(
        evolve(study, not_needed=("binary", "tuned"), idle=("it changes nothing",))
    )
    assert stream.getvalue().splitlines()[1:] == [
        "not run, as no trial's result needs them: binary, tuned",
        "warning: it changes nothing",
    ]


def test_long_stages_say_now_and_then_how_far_they_are(study: StudyRecord) -> None:
    now = [0.0]
    stream = io.StringIO()
    progress = ConsoleProgress(stream, clock=lambda: now[0])
    progress.bebertlab_study_started(study)
    progress.bebertlab_stage_started(_started("binary"))
    for second in range(0, 150, 10):
        now[0] = float(second)
        progress.bebertlab_stage_progress(_progress("binary", second / 150, "epoch 1/2"))
    assert [line for line in stream.getvalue().splitlines() if "%" in line] == [
        "t002 binary: 40% epoch 1/2",
        "t002 binary: 80% epoch 1/2",
    ]


def test_a_terminal_shows_failures_and_is_given_back(
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
def test_colours_can_be_refused(
    study: StudyRecord, trials: tuple[TrialRecord, ...], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, value)
    stream = _Terminal()
    _run(ConsoleProgress(stream), study, trials)
    assert not any(f"\x1b[{code}" in stream.getvalue() for code in ("3", "38;5;", "1;3"))


def test_an_error_gives_the_terminal_back(study: StudyRecord, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_nothing_goes_to_the_standard_output(
    study: StudyRecord, trials: tuple[TrialRecord, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    _run(ConsoleProgress(), study, trials)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "tiny_study" in captured.err


def test_what_was_not_run_is_counted(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
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
    said = [line.split(" FAILED")[1].split(";")[0] for line in stream.getvalue().splitlines()[1:]]
    assert said == [": a is wrong", ": b is wrong", ", as t000 did"]
