from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import TrialState
from bebertlab.report.pairs import pair_up
from bebertlab.report.stages import cost_ratio, stage_costs, stage_scores

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_every_scored_stage_before_the_result_is_listed(simulate: Simulate) -> None:
    study, trials = simulate()
    result = [(score.stage, score.variant) for score in stage_scores(study, trials)]
    assert result == [
        ("teacher", ""),
        ("half", ""),
        ("half_teacher", ""),
        *((stage, f"activation_bits={bits}") for stage in ("ternary", "split", "binary") for bits in (8, 4)),
        ("members, each alone", ""),
    ]


def test_changes_are_paired_and_every_artifact_is_counted_once(simulate: Simulate) -> None:
    study, trials = simulate()
    by_name = {(score.stage, score.variant): score for score in stage_scores(study, trials)}
    half = by_name["half", ""]
    assert half.change is not None
    scores = {trial.seed: [event.metrics.get("validation/score", 0.0) for event in trial.stages] for trial in trials}
    assert half.change.mean == pytest.approx(sum(of_seed[1] - of_seed[0] for of_seed in scores.values()) / 3)
    assert half.change.count == half.score.count == 3
    assert by_name["teacher", ""].score.mean == pytest.approx(sum(of_seed[0] for of_seed in scores.values()) / 3)
    assert by_name["teacher", ""].seconds == pytest.approx(9.1)
    assert by_name["teacher", ""].mebibytes == pytest.approx(1.42)
    assert by_name["teacher", ""].gigaflops is None
    costly = [
        evolve(trial, stages=tuple(evolve(e, metrics={**e.metrics, "cost/gigaflops": 2.5}) for e in trial.stages))
        for trial in trials
    ]
    assert {score.gigaflops for score in stage_scores(study, costly)} == {2.5}


def test_a_stage_with_many_variants_is_averaged(simulate: Simulate) -> None:
    study, trials = simulate()
    torn = [
        evolve(
            trial,
            stages=tuple(evolve(e, key=f"{e.key}{trial.number}") if e.stage == "binary" else e for e in trial.stages),
        )
        for trial in trials
    ]
    assert [score.variant for score in stage_scores(study, torn) if score.stage == "binary"] == [""]


def test_stages_without_scores_are_not_listed(simulate: Simulate) -> None:
    study, trials = simulate()
    mute = [evolve(trial, stages=tuple(evolve(e, metrics={}) for e in trial.stages)) for trial in trials]
    assert stage_scores(study, mute) == ()
    assert stage_scores(study, [evolve(trial, stages=()) for trial in trials]) == ()


def test_the_cost_of_a_group_is_compared_over_the_same_pairs(simulate: Simulate) -> None:
    study, trials = simulate()
    timed = [
        evolve(
            trial,
            stages=tuple(
                evolve(event, seconds=6.0 if trial.parameters["members.distillation"] == "two-stage" else 3.0)
                for event in trial.stages
            ),
        )
        for trial in trials
    ]
    result = cost_ratio(pair_up(study, timed, "members.distillation", "two-stage", "none"), "members")
    assert result is not None
    assert result.ratio is not None
    assert result.ratio.mean == pytest.approx(2.0)
    # single, bagging and boosting of 1, bagging and boosting of 2 and of 4: 15 members in 7 cells
    assert (result.compared_seconds, result.baseline_seconds) == pytest.approx((6.0 * 15 / 7, 3.0 * 15 / 7))


def test_a_missing_group_costs_nothing(simulate: Simulate) -> None:
    study, trials = simulate()
    assert cost_ratio(pair_up(study, trials, "members.distillation", "two-stage", "none"), "elsewhere") is None


def test_a_shared_stage_is_counted_once(simulate: Simulate) -> None:
    study, trials = simulate()
    result = {trial.group: trial for trial in stage_costs(trials)}
    teacher = result["teacher"]
    assert (teacher.built, teacher.requested) == (3, 126)
    assert teacher.seconds == pytest.approx(3 * 9.1)
    assert teacher.seconds_without_store == pytest.approx(126 * 9.1)
    assert list(result)[:3] == ["teacher", "half", "half_teacher"]
    assert result["members"].built == 162
    assert stage_costs([evolve(trials[0], state=TrialState.WAITING)]) == ()
    assert study.seeds == (0, 1, 2)
