from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import TrialState
from bebertlab.report.cost import cost, stage_costs
from bebertlab.report.pairs import pair_up

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_the_cost_of_a_group_is_compared_over_the_same_pairs(simulate: Simulate) -> None:
    study, trials = simulate()
    timed = [
        evolve(
            one,
            stages=tuple(
                evolve(event, seconds=6.0 if one.parameters["members.distillation"] == "two-stage" else 3.0)
                for event in one.stages
            ),
        )
        for one in trials
    ]
    found = cost(pair_up(study, timed, "members.distillation", "two-stage", "none"), "members")
    assert found is not None
    assert found.ratio is not None
    assert found.ratio.mean == pytest.approx(2.0)
    # single, bagging and boosting of 1, bagging and boosting of 2 and of 4: 15 members in 7 cells
    assert (found.ours, found.theirs) == pytest.approx((6.0 * 15 / 7, 3.0 * 15 / 7))


def test_no_such_group_costs_nothing(simulate: Simulate) -> None:
    study, trials = simulate()
    assert cost(pair_up(study, trials, "members.distillation", "two-stage", "none"), "elsewhere") is None


def test_a_stage_that_serves_many_trials_is_paid_once(simulate: Simulate) -> None:
    study, trials = simulate()
    found = {one.group: one for one in stage_costs(trials)}
    teacher = found["teacher"]
    assert (teacher.made, teacher.used) == (3, 126)
    assert teacher.seconds == pytest.approx(3 * 9.1)
    assert teacher.without_store == pytest.approx(126 * 9.1)
    assert list(found)[:3] == ["teacher", "half", "half_teacher"]
    assert found["members"].made == 162
    assert stage_costs([evolve(trials[0], state=TrialState.WAITING)]) == ()
    assert study.seeds == (0, 1, 2)
