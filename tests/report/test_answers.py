from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord, TrialState
from bebertlab.report.answers import Conclusion, answer, compared_values

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

BOOST = Question(text="?", compare="members.ensemble", baseline="single")
STEPS = Question(text="?", compare="members.size")
DISTILLATION, SIZE = "members.distillation", "members.size"


def _of(simulate: Simulate, question: Question) -> tuple[StudyRecord, Question, tuple[TrialRecord, ...]]:
    study, trials = simulate()
    return study, question, trials


def test_true_differences_are_shown_close_to_their_size(simulate: Simulate) -> None:
    study, trials = simulate()
    result = {
        (comparisons.value, comparisons.baseline, comparisons.at[SIZE]): comparisons
        for comparisons in answer(study, BOOST, trials).comparisons
    }
    # 3 of boosting itself, and what its size adds to that of the single model, which is 1
    for size, more in ((1, 0.0), (2, 1.0), (4, 1.3)):
        boosting = result["boosting", "single", size]
        assert boosting.estimate.interval.mean == pytest.approx(3.0 + more, abs=0.4)
        assert boosting.conclusion is Conclusion.SHOWN
        assert boosting.estimate.interval.count == 3
        assert result["boosting", "bagging", size].estimate.interval.mean == pytest.approx(2.8, abs=0.4)


def test_without_a_baseline_every_value_is_compared_with_the_previous_one(simulate: Simulate) -> None:
    study, trials = simulate()
    shuffled = evolve(study, axes={**study.axes, "members.size": (4, 1, 2)})
    comparisons = answer(shuffled, STEPS, trials).comparisons
    assert [(item.baseline, item.value) for item in comparisons] == [(1, 2), (2, 4)]


def test_answers_keep_the_order_of_the_study(simulate: Simulate) -> None:
    study, trials = simulate()
    question = Question(text="?", compare="members.distillation")
    assert compared_values(study, question, trials) == ["none", "prediction", "two-stage"]


def test_null_studies_rarely_show_a_difference(simulate: Simulate) -> None:
    axes = {
        "ternary.scheme.activation_bits": (8,),
        "members.distillation": ("none", "prediction"),
        "members.ensemble": ("single", "bagging", "boosting"),
        "members.size": (1, 2),
    }
    study, trials = simulate(axes=axes, effects={})
    noise = np.random.default_rng(5)
    shown = covered = 0
    for _ in range(150):
        of_seed = noise.normal(0, 2.0, 3)
        drawn = [
            evolve(item, metrics={"validation/score": of_seed[item.seed] + noise.normal(0, 0.5)}, stages=())
            for item in trials
        ]
        comparisons = answer(study, BOOST, drawn).comparisons
        covered += not comparisons[0].estimate.interval.excludes_zero
        shown += any(item.conclusion is Conclusion.SHOWN for item in comparisons)
    assert covered / 150 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 150))
    assert shown / 150 <= 0.05 + 3 * math.sqrt(0.95 * 0.05 / 150)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_few_seeds_show_no_difference(simulate: Simulate, seeds: tuple[int, ...]) -> None:
    study, trials = simulate(seeds=seeds, spread=0.01)
    assert {comparisons.conclusion for comparisons in answer(study, BOOST, trials).comparisons} == {Conclusion.TOO_FEW}


def test_the_correction_can_reverse_a_conclusion(simulate: Simulate) -> None:
    study, trials = simulate()
    comparisons = answer(study, BOOST, trials).comparisons[1]
    assert evolve(comparisons, adjusted=0.06).conclusion is Conclusion.NOT_AFTER_CORRECTION
    assert evolve(comparisons, adjusted=0.04).conclusion is Conclusion.SHOWN


def test_values_without_variance_over_seeds_are_no_evidence(simulate: Simulate) -> None:
    study, trials = simulate()
    fixed = {"single": 80.0, "bagging": 80.0, "boosting": 83.0}
    same = [evolve(item, metrics={"validation/score": fixed[item.parameters["members.ensemble"]]}) for item in trials]
    comparisons = answer(study, BOOST, same).comparisons
    assert [item.conclusion for item in comparisons] == 3 * [
        Conclusion.SAME,
        Conclusion.NO_SPREAD,
        Conclusion.NO_SPREAD,
    ]


def test_subgroups_are_those_of_the_other_options(simulate: Simulate) -> None:
    study, trials = simulate()
    subgroups = answer(study, BOOST, trials).comparisons[1].subgroups
    assert {part.axis for part in subgroups} == {"ternary.scheme.activation_bits", DISTILLATION}
    subgroups = answer(study, STEPS, trials).comparisons[0].subgroups
    assert {part.axis for part in subgroups} == {"ternary.scheme.activation_bits", DISTILLATION, "members.ensemble"}


@pytest.mark.parametrize(
    ("compare", "baseline", "obstacle"),
    [
        ("members.nothing", None, "not searched"),
        ("members.ensemble", "stacking", "no trial has members.ensemble = stacking"),
    ],
)
def test_unanswerable_questions_are_reported(simulate: Simulate, compare: str, baseline: object, obstacle: str) -> None:
    study, trials = simulate()
    result = answer(study, Question(text="?", compare=compare, baseline=baseline), trials)
    assert obstacle in result.obstacle
    assert not result.comparisons


def test_a_fixed_option_is_no_comparison(simulate: Simulate) -> None:
    study, trials = simulate()
    boosting = [item for item in trials if item.parameters["members.ensemble"] == "boosting"]
    assert "one value only" in answer(study, BOOST, boosting).obstacle


def test_without_complete_trials_there_is_no_answer(simulate: Simulate) -> None:
    study, trials = simulate()
    waiting = [evolve(item, state=TrialState.WAITING, metrics={}) for item in trials]
    assert answer(study, BOOST, waiting).obstacle == "no complete trials to compare"


def _drawn(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> tuple[StudyRecord, list[TrialRecord]]:
    """A random search: every point has a different learning rate."""
    noise = np.random.default_rng(2)
    rates = [float(rate) for rate in noise.uniform(1e-4, 1e-2, 42)]
    drawn = [evolve(item, parameters={**item.parameters, "train.lr": rates[i // 3]}) for i, item in enumerate(trials)]
    return evolve(study, axes={**study.axes, "train.lr": tuple(rates)}), drawn


def test_points_drawn_at_random_are_compared_by_their_means(simulate: Simulate) -> None:
    study, drawn = _drawn(*simulate())
    comparisons = answer(study, BOOST, drawn).comparisons
    assert not comparisons[1].paired
    assert [(item.value, item.baseline, item.at[SIZE]) for item in comparisons[1::3]] == [
        ("boosting", "single", size) for size in (1, 2, 4)
    ]
    assert comparisons[7].estimate.interval.mean == pytest.approx(3.0 + 1.3, abs=0.5)
    assert comparisons[1].pairs == 0


def test_points_that_differ_in_another_drawn_option_are_not_paired(simulate: Simulate) -> None:
    study, trials = simulate()
    rates, distillations = (0.1, 0.2, 0.3, 0.4), ("none", "none", "prediction", "none")
    drawn = [
        evolve(trials[3 * index + seed], parameters={"train.lr": rates[index], DISTILLATION: distillations[index]})
        for index in range(4)
        for seed in range(3)
    ]
    searched = evolve(study, axes={"train.lr": rates, DISTILLATION: ("none", "prediction")})
    comparisons = answer(searched, Question(text="?", compare="train.lr"), drawn).comparisons
    assert [item.paired for item in comparisons] == [True, False, False]


def test_a_baseline_is_paired_across_options_that_it_cannot_have(simulate: Simulate) -> None:
    comparisons = {
        (item.value, item.baseline, item.at[SIZE]): item for item in answer(*_of(simulate, BOOST)).comparisons
    }
    assert comparisons["boosting", "single", 4].baseline_fixed == {SIZE: 1}
    assert comparisons["boosting", "single", 4].pairs == 18
    assert comparisons["boosting", "single", 1].baseline_fixed == {}
    assert comparisons["boosting", "bagging", 4].baseline_fixed == {}


def test_an_option_with_many_values_has_a_trend(simulate: Simulate) -> None:
    study, drawn = _drawn(*simulate())
    trend = answer(study, Question(text="?", compare="train.lr"), drawn).trend
    assert trend is not None
    assert len(trend.values) == 42
    assert trend.correlation is not None
    assert not trend.correlation.excludes_zero
