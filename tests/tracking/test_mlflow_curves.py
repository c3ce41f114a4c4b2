from __future__ import annotations

from collections.abc import Sequence

import pytest

from bebertlab.interfaces.events import StageProgress
from bebertlab.tracking.mlflow_curves import CAPACITY, SHARE, WRITE_SECONDS, CurveBuffer, CurvePoint


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Log:
    """Remembers the points that are written; raises while `fails` is set."""

    def __init__(self) -> None:
        self.written: list[tuple[int, str, float, int]] = []
        self.calls = 0
        self.fails = False

    def __call__(self, trial: int, points: Sequence[CurvePoint]) -> None:
        self.calls += 1
        if self.fails:
            raise RuntimeError("no server")
        self.written += [(trial, point.name, point.value, point.step) for point in points]


def event(step: int | None, loss: float | None, *, trial: int | None = 1, epoch: float | None = None) -> StageProgress:
    values = {} if loss is None else {"train/loss": loss}
    return StageProgress(stage="members.0", stage_kind="k", key="k", trial=trial, values=values, step=step, epoch=epoch)


def test_values_become_metrics_of_their_stage_with_their_steps() -> None:
    buffer, log = CurveBuffer(), Log()
    buffer.add(event(5, 0.5, epoch=0.25))
    buffer.add(event(10, 0.25, trial=2))
    for ignored in (event(None, 0.5), event(5, None), event(5, 0.5, trial=None)):
        buffer.add(ignored)
    buffer.write(log)
    assert log.written == [
        (1, "curve/members.0/train/loss", 0.5, 5),
        (1, "curve/members.0/epoch", 0.25, 5),
        (2, "curve/members.0/train/loss", 0.25, 10),
    ]
    assert len(buffer) == 0


def test_one_trial_can_be_written_alone() -> None:
    buffer, log = CurveBuffer(), Log()
    for trial in (1, 2, 1):
        buffer.add(event(1, 0.5, trial=trial))
    buffer.write(log, 1)
    buffer.write(log, 3)
    assert [trial for trial, *_ in log.written] == [1, 1]
    assert (log.calls, len(buffer)) == (1, 1)


def test_points_are_written_in_few_calls() -> None:
    clock, log = Clock(), Log()
    buffer = CurveBuffer(clock)
    start = clock.now
    while clock.now < start + 60:
        buffer.add(event(int(clock.now), 0.5))
        if buffer.is_due():
            with buffer.paced():
                buffer.write(log)
        clock.now += 0.25
    assert log.calls == 60 / WRITE_SECONDS - 1
    assert len(log.written) + len(buffer) == 240


@pytest.mark.parametrize("seconds", [0.2, 5.0, 60.0])
@pytest.mark.parametrize("fails", [True, False])
def test_a_slow_or_dead_server_takes_little_of_the_time(seconds: float, fails: bool) -> None:
    clock, log = Clock(), Log()
    log.fails = fails
    buffer = CurveBuffer(clock)
    start, spent = clock.now, 0.0
    while clock.now < start + 100_000:
        buffer.add(event(int(clock.now), 0.5))
        if buffer.is_due():
            try:
                with buffer.paced():
                    clock.now += seconds
                    spent += seconds
                    buffer.write(log)
            except RuntimeError:
                pass
        clock.now += 10.0
    assert log.calls >= 10
    assert spent / (clock.now - start) <= SHARE * 1.1 + seconds / 100_000


def test_points_that_could_not_be_written_wait_and_the_oldest_are_dropped() -> None:
    buffer, log = CurveBuffer(), Log()
    log.fails = True
    buffer.add(event(1, 0.5))
    with pytest.raises(RuntimeError):
        buffer.write(log)
    assert len(buffer) == 1
    for step in range(2, CAPACITY + 2):
        buffer.add(event(step, 0.5))
    log.fails = False
    buffer.write(log)
    assert [step for *_, step in log.written] == [*range(2, CAPACITY + 2)]
