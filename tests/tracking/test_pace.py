from __future__ import annotations

import pytest

from bebertlab.tracking.pace import Pace


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _paced(planned: int | None, finished: int, ends: list[float]) -> tuple[Pace, _Clock]:
    clock = _Clock()
    pace = Pace(clock)
    pace.begin(planned, finished, {})
    for number, end in enumerate(ends):
        pace.start(number)
        clock.now = 100.0 + end
        pace.finish(number, {})
    return pace, clock


def test_the_estimate_uses_the_pace_of_the_last_trials() -> None:
    pace, clock = _paced(10, 0, [10.0, 20.0, 30.0, 40.0])
    assert pace.left() == pytest.approx(60.0)
    clock.now += 5.0
    assert pace.left() == pytest.approx(55.0)
    assert pace.elapsed() == pytest.approx(45.0)


def test_early_trials_do_not_count() -> None:
    # the first trial built the stages that all others share
    ends = [1000.0 + 2.0 * index for index in range(25)]
    pace, _ = _paced(35, 0, ends)
    assert pace.left() == pytest.approx(20.0)


def test_the_estimate_stays_positive_while_nothing_finishes() -> None:
    pace, clock = _paced(5, 0, [10.0, 20.0, 30.0, 40.0])
    clock.now += 300.0
    left = pace.left()
    assert left is not None
    assert left > 100.0


@pytest.mark.parametrize(
    ("planned", "finished", "ends"),
    [(10, 0, [1.0, 2.0]), (None, 0, [1.0, 2.0, 3.0, 4.0]), (3, 0, [1.0, 2.0, 3.0])],
)
def test_there_is_no_estimate_without_enough_trials(planned: int | None, finished: int, ends: list[float]) -> None:
    assert _paced(planned, finished, ends)[0].left() is None


def test_trials_of_earlier_runs_count_as_done_but_not_for_the_pace() -> None:
    pace, _ = _paced(100, 90, [10.0, 20.0, 30.0])
    assert pace.standing() == "93/100"
    assert pace.left() == pytest.approx(70.0)
    assert _paced(None, 2, [1.0])[0].standing() == "3 done"


def _stages(**counts: int) -> dict[str, str]:
    """Keys to kinds, with this number of stages of each kind."""
    return {f"{kind}{number}": kind for kind, count in counts.items() for number in range(count)}


def test_the_estimate_uses_the_missing_stages_if_they_are_known() -> None:
    clock = _Clock()
    pace = Pace(clock)
    pace.begin(20, 0, _stages(finetune=1, member=20, merge=20))
    pace.start(0)
    pace.start(1)
    clock.now += 500.0
    pace.built("finetune0", "finetune", 500.0)
    pace.built("member0", "member", 4.0)
    assert pace.left() is None  # no merge has finished yet
    pace.built("merge0", "merge", 0.5)
    left = {key: kind for key, kind in _stages(member=20, merge=20).items() if key not in ("member0", "merge0")}
    pace.finish(0, left)
    assert pace.left() == pytest.approx((19 * 4.0 + 19 * 0.5) / 2)
    pace.built("member1", "member", 8.0)
    assert pace.left() == pytest.approx((18 * 6.0 + 19 * 0.5) / 2)
    pace.cached("merge1")  # another study built it
    assert pace.left() == pytest.approx((18 * 6.0 + 18 * 0.5) / 2)


def test_stages_of_a_failed_trial_are_not_remaining() -> None:
    pace = Pace(_Clock())
    pace.begin(4, 0, _stages(member=4))
    pace.start(0)
    pace.built("member0", "member", 3.0)
    pace.finish(0, {"member1": "member", "member2": "member", "member3": "member"})
    assert pace.left() == 9.0
    pace.finish(1, {"member3": "member"})
    assert pace.left() == 3.0


def test_a_stage_that_was_not_missing_is_not_counted() -> None:
    pace = Pace(_Clock())
    pace.begin(2, 0, _stages(member=1))
    pace.built("member0", "member", 3.0)
    pace.built("other", "member", 3.0)
    assert pace.left() == 0.0


def test_the_estimate_falls_while_points_are_sampled() -> None:
    clock = _Clock()
    pace = Pace(clock)
    pace.begin(8, 0, {})
    left = []
    for number in range(7):
        pace.start(number)
        clock.now += 0.5
        pace.built(f"member{number}", "member", 0.4)  # the points not drawn yet may need other stages
        pace.finish(number, {})
        left.append(pace.left())
    assert left == [None, None, *(pytest.approx(0.5 * count) for count in (5, 4, 3, 2, 1))]
