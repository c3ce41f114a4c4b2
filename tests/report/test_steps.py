from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.report.steps import steps

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_every_scored_stage_before_the_result_is_a_step(simulate: Simulate) -> None:
    study, trials = simulate()
    found = [(step.stage, step.variant) for step in steps(study, trials)]
    assert found == [
        ("teacher", ""),
        ("half", ""),
        ("half_teacher", ""),
        *((stage, f"activation_bits={bits}") for stage in ("ternary", "split", "binary") for bits in (8, 4)),
        ("members, each alone", ""),
    ]


def test_changes_are_paired_and_every_artifact_counts_once(simulate: Simulate) -> None:
    study, trials = simulate()
    by_name = {(step.stage, step.variant): step for step in steps(study, trials)}
    half = by_name["half", ""]
    assert half.change is not None
    scores = {one.seed: [event.metrics.get("validation/score", 0.0) for event in one.stages] for one in trials}
    assert half.change.mean == pytest.approx(sum(of_seed[1] - of_seed[0] for of_seed in scores.values()) / 3)
    assert half.change.count == half.score.count == 3
    assert by_name["teacher", ""].score.mean == pytest.approx(sum(of_seed[0] for of_seed in scores.values()) / 3)
    assert by_name["teacher", ""].seconds == pytest.approx(9.1)
    assert by_name["teacher", ""].mebibytes == pytest.approx(1.42)
    assert by_name["teacher", ""].gigaflops is None
    costly = [
        evolve(one, stages=tuple(evolve(e, metrics={**e.metrics, "cost/gigaflops": 2.5}) for e in one.stages))
        for one in trials
    ]
    assert {step.gigaflops for step in steps(study, costly)} == {2.5}


def test_a_stage_with_many_variants_is_averaged(simulate: Simulate) -> None:
    study, trials = simulate()
    torn = [
        evolve(
            one, stages=tuple(evolve(e, key=f"{e.key}{one.number}") if e.stage == "binary" else e for e in one.stages)
        )
        for one in trials
    ]
    assert [step.variant for step in steps(study, torn) if step.stage == "binary"] == [""]


def test_stages_without_scores_are_no_steps(simulate: Simulate) -> None:
    study, trials = simulate()
    mute = [evolve(one, stages=tuple(evolve(e, metrics={}) for e in one.stages)) for one in trials]
    assert steps(study, mute) == ()
    assert steps(study, [evolve(one, stages=()) for one in trials]) == ()
