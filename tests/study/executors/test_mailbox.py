from __future__ import annotations

from pathlib import Path

from bebertlab.interfaces.events import StageEvent, StagePhase
from bebertlab.study.executors.mailbox import Mailbox, post


def event(trial: int, text: str) -> StageEvent:
    return StageEvent(
        stage="a", stage_kind="k", key="f", trial=trial, phase=StagePhase.PROGRESS, text=text, metrics={"x": 0.5}
    )


def test_every_event_comes_once_and_whole(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "events")
    first, second = mailbox.open(0), mailbox.open(7)
    post(first, event(0, "1/2"))
    post(second, event(7, "eins"))
    assert list(mailbox.collect()) == [event(0, "1/2"), event(7, "eins")]
    assert list(mailbox.collect()) == []
    post(first, event(0, "2/2"))
    assert list(mailbox.close(0)) == [event(0, "2/2")]
    assert not first.exists()
    assert list(mailbox.collect()) == []


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    path = mailbox.open(0)
    post(path, event(0, "ä"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert list(mailbox.collect()) == []
    path.write_bytes(whole)
    assert list(mailbox.collect()) == [event(0, "ä")]


def test_a_trial_that_is_handed_out_again_starts_afresh(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    post(mailbox.open(0), event(0, "lost"))
    path = mailbox.open(0)
    assert list(mailbox.collect()) == []
    post(path, event(0, "again"))
    assert list(mailbox.collect()) == [event(0, "again")]
