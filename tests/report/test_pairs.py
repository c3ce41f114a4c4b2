from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question, TrialRecord, TrialState
from bebertlab.report.answers import answer
from bebertlab.report.pairs import (
    cell_label,
    cells,
    condition,
    fixed_axes,
    matches,
    matching_trials,
    pair_up,
    value_index,
)
from bebertlab.report.wording import headlines, sentences

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


BITS, DISTILLATION = "ternary.scheme.activation_bits", "members.distillation"
ENSEMBLE, SIZE = "members.ensemble", "members.size"
BOOST = Question(text="?", compare=ENSEMBLE, baseline="single")


def test_a_value_of_one_size_is_compared_with_each_size_separately(simulate: Simulate) -> None:
    """Averaged over sizes, ensembles of one member would count as ensembles."""
    study, trials = simulate()
    result = cells(study, BOOST, ("boosting", "single"))
    assert [cell.at for cell in result] == [{SIZE: 1}, {SIZE: 2}, {SIZE: 4}]
    for cell in result:
        compared, reference = cell.trials(ENSEMBLE, ("boosting", "single"), trials)
        assert {trial.parameters[SIZE] for trial in compared} == {cell.at[SIZE]}
        assert {trial.parameters[SIZE] for trial in reference} == {1}
        assert (cell.reference_fixed, cell.compared_fixed) == ({SIZE: 1}, {})


def test_other_comparisons_of_the_question_use_the_same_sizes(simulate: Simulate) -> None:
    study, trials = simulate()
    for cell in cells(study, BOOST, ("boosting", "bagging")):
        compared, reference = cell.trials(ENSEMBLE, ("boosting", "bagging"), trials)
        assert {trial.parameters[SIZE] for trial in (*compared, *reference)} == {cell.at[SIZE]}


def test_a_condition_applies_to_both_sides_except_one_that_cannot_meet_it(simulate: Simulate) -> None:
    study, trials = simulate()
    question = evolve(BOOST, where={SIZE: [2, 4], DISTILLATION: "none"})
    (two, four) = cells(study, question, ("bagging", "single"))
    assert (two.at, four.at) == ({SIZE: 2}, {SIZE: 4})
    compared, reference = four.trials(ENSEMBLE, ("bagging", "single"), trials)
    assert {(trial.parameters[SIZE], trial.parameters[DISTILLATION]) for trial in compared} == {(4, "none")}
    assert {(trial.parameters[SIZE], trial.parameters[DISTILLATION]) for trial in reference} == {(1, "none")}


def test_the_order_of_the_sides_does_not_matter_for_the_condition(simulate: Simulate) -> None:
    study, trials = simulate()
    question = evolve(BOOST, baseline="bagging", where={SIZE: [4]})
    (cell,) = cells(study, question, ("single", "bagging"))
    assert (cell.at, cell.compared_fixed, cell.reference_fixed) == ({SIZE: 4}, {SIZE: 1}, {})
    compared, reference = cell.trials(ENSEMBLE, ("single", "bagging"), trials)
    assert ({trial.parameters[SIZE] for trial in compared}, {trial.parameters[SIZE] for trial in reference}) == (
        {1},
        {4},
    )
    texts = headlines(study, answer(study, question, trials))
    assert texts[:2] == ("Only trials with size 4 count.", "boosting is better than bagging by 3.09 points.")
    assert texts[2].startswith("At size 4: single is worse than bagging by 1.")
    assert texts[2].endswith("(single has size 1 only).")


def test_without_a_condition_and_a_baseline_equals_are_compared_and_that_is_reported(simulate: Simulate) -> None:
    study, _ = simulate()
    for question in (evolve(BOOST, baseline="bagging"), evolve(BOOST, baseline=None)):
        (cell,) = cells(study, question, ("single", "bagging"))
        assert (cell.at, cell.compared_fixed, cell.reference_fixed) == ({SIZE: 1}, {}, {})
        assert [trial.at for trial in cells(study, question, ("boosting", "bagging"))] == [{}]


def test_options_fixed_on_both_sides_are_not_split(simulate: Simulate) -> None:
    study, _ = simulate()
    other = evolve(study, resolved={"exclude": [{ENSEMBLE: ["single", "bagging"], SIZE: [2, 4]}]})
    (cell,) = cells(other, BOOST, ("bagging", "single"))
    assert cell.at == {}
    assert len(cells(other, BOOST, ("boosting", "single"))) == 3
    assert cells(other, evolve(BOOST, where={SIZE: [4]}), ("bagging", "single")) == []


def test_a_question_can_be_answered_for_each_value_of_an_option(simulate: Simulate) -> None:
    study, trials = simulate()
    stage_scores = Question(text="?", compare=SIZE, by=DISTILLATION)
    result = answer(study, stage_scores, trials).comparisons
    assert [(trial.value, trial.at) for trial in result] == [
        (size, {DISTILLATION: value}) for value in ("none", "prediction", "two-stage") for size in (2, 4)
    ]
    assert {trial.pairs for trial in result} == {12}
    whole = answer(study, evolve(stage_scores, by=None), trials).comparisons[0]
    mean = sum(trial.estimate.interval.mean for trial in result[::2]) / 3
    assert mean == pytest.approx(whole.estimate.interval.mean)


def test_the_correction_is_over_all_comparisons_of_a_question(simulate: Simulate) -> None:
    study, trials = simulate()
    result = answer(study, BOOST, trials).comparisons
    smallest = min(trial.estimate.p or 1.0 for trial in result)
    assert len(result) == 9
    assert min(trial.adjusted or 1.0 for trial in result) == pytest.approx(9 * smallest)


def test_a_condition_without_points_gives_no_answer(simulate: Simulate) -> None:
    study, trials = simulate()
    result = answer(study, Question(text="?", compare=SIZE, where={ENSEMBLE: ["single"]}), trials)
    assert result.obstacle == "no trials that meet its condition (`where`)"


def test_a_trend_uses_the_selected_trials_without_splitting(simulate: Simulate) -> None:
    study, trials = simulate()
    rates = tuple(0.001 * trial for trial in range(1, 43))
    drawn = [
        evolve(trial, parameters={**trial.parameters, "train.lr": rates[i // 3]}) for i, trial in enumerate(trials)
    ]
    searched = evolve(study, axes={**study.axes, "train.lr": rates})
    question = Question(text="?", compare="train.lr", where={ENSEMBLE: ["boosting"]})
    trend = answer(searched, question, drawn).trend
    assert trend is not None
    assert len(trend.values) == 18
    assert "`by` suits a few" in answer(searched, evolve(question, by=SIZE), drawn).obstacle


def test_conditions_are_formatted(simulate: Simulate) -> None:
    study, trials = simulate()
    assert condition(study, BOOST) == ""
    two = Question(text="?", compare=DISTILLATION, where={SIZE: [2, 4], ENSEMBLE: "bagging"}, by=BITS)
    assert condition(study, two) == "Only trials with size 2 or 4 and ensemble bagging count."
    with_single = "Only trials with size 4 count; single has size 1 only."
    assert condition(study, evolve(BOOST, where={SIZE: [4]})) == with_single
    for format_answer in (sentences, headlines):
        assert format_answer(study, answer(study, two, trials))[0] == condition(study, two)
    assert cell_label(study, {SIZE: 4, DISTILLATION: "none"}) == "size 4, distillation none"
    assert value_index(study, SIZE, 4) == 2
    of_four = matching_trials(Question(text="?", compare=ENSEMBLE, where={SIZE: 4}), trials)
    assert {trial.parameters[SIZE] for trial in of_four} == {4}
    assert matches(trials[0], {SIZE: [1], ENSEMBLE: ["single", "bagging"]})
    assert not matches(trials[0], {"train.lr": [1]})


def test_options_excluded_for_the_baseline_do_not_apply_to_it(simulate: Simulate) -> None:
    study, _ = simulate()
    assert fixed_axes(study, BOOST) == {SIZE: 1}
    assert fixed_axes(study, evolve(BOOST, baseline="bagging")) == {}
    assert fixed_axes(study, evolve(BOOST, baseline=None)) == {}


@pytest.mark.parametrize(
    "exclude",
    [
        [],
        [{ENSEMBLE: "single", SIZE: 4}],  # two sizes remain
        [{ENSEMBLE: "single", SIZE: [2, 4], DISTILLATION: "none"}],  # with one distillation only
        [{SIZE: [2, 4]}],
    ],
)
def test_a_single_sampled_value_is_not_treated_as_inapplicable(
    simulate: Simulate, exclude: list[dict[str, object]]
) -> None:
    study, _ = simulate()
    assert fixed_axes(evolve(study, resolved={"exclude": exclude}), BOOST) == {}


def test_an_option_of_another_stage_applies_to_every_value(simulate: Simulate) -> None:
    study, _ = simulate()
    other = evolve(
        study,
        axes={"student.scheme.weights": ("bwn", "twn"), "teacher.train.epochs": (1, 2, 30)},
        resolved={"exclude": [{"student.scheme.weights": ["bwn"], "teacher.train.epochs": [2, 30]}]},
    )
    assert fixed_axes(other, Question(text="?", compare="student.scheme.weights", baseline="bwn")) == {}


BITS, DISTILLATION, ENSEMBLE, SIZE = (
    "ternary.scheme.activation_bits",
    "members.distillation",
    "members.ensemble",
    "members.size",
)


def _without(trials: tuple[TrialRecord, ...], seed: int, **expected: object) -> list[TrialRecord]:
    names = {"ensemble": ENSEMBLE, "size": SIZE, "distillation": DISTILLATION, "bits": BITS}
    return [
        trial
        for trial in trials
        if trial.seed != seed or any(trial.parameters[names[name]] != value for name, value in expected.items())
    ]


def test_a_single_model_is_compared_with_every_size(simulate: Simulate) -> None:
    study, trials = simulate()
    result = pair_up(study, trials, ENSEMBLE, "boosting", "single", unmatched=[SIZE])
    assert len(result.pairs) == 2 * 3 * 3 * 3  # bits, distillations, sizes, seeds
    for pair in result.pairs:
        assert pair.compared.seed == pair.reference.seed == pair.seed
        assert pair.reference.parameters[SIZE] == 1
        assert all(pair.compared.parameters[axis] == pair.reference.parameters[axis] for axis in (BITS, DISTILLATION))
        assert pair.difference == pair.compared.metrics["validation/score"] - pair.reference.metrics["validation/score"]


def test_partners_have_the_same_other_options(simulate: Simulate) -> None:
    study, trials = simulate()
    result = pair_up(study, trials, ENSEMBLE, "boosting", "single")
    assert len(result.pairs) == 2 * 3 * 3  # bits, distillations, seeds; size 1 only
    assert {pair.compared.parameters[SIZE] for pair in result.pairs} == {1}
    assert (result.left_out, result.differing) == (36, ())
    larger = [trial for trial in trials if trial.parameters[ENSEMBLE] == "single" or trial.parameters[SIZE] > 1]
    assert not pair_up(study, larger, ENSEMBLE, "boosting", "single").pairs


def test_what_partners_differ_in_is_named(simulate: Simulate) -> None:
    study, trials = simulate()
    assert pair_up(study, trials, ENSEMBLE, "boosting", "single", unmatched=[SIZE]).differing == (SIZE,)
    small = [trial for trial in trials if trial.parameters[SIZE] == 1]
    assert pair_up(study, small, ENSEMBLE, "boosting", "single", unmatched=[SIZE]).differing == ()


def test_an_option_in_which_the_baseline_varies_is_matched(simulate: Simulate) -> None:
    study, trials = simulate()
    result = pair_up(study, trials, SIZE, 2, 1)
    assert len(result.pairs) == 2 * 3 * 2 * 3  # the single model has no second member
    assert all(pair.compared.parameters[ENSEMBLE] == pair.reference.parameters[ENSEMBLE] for pair in result.pairs)


def test_pairs_of_a_seed_are_averaged_first(simulate: Simulate) -> None:
    study, trials = simulate()
    result = pair_up(study, trials, ENSEMBLE, "boosting", "single", unmatched=[SIZE])
    of_seed = [pair.difference for pair in result.pairs if pair.seed == 1]
    assert result.differences()[1] == pytest.approx(sum(of_seed) / len(of_seed))
    assert len(result.differences()) == 3


def test_a_missing_cell_is_omitted_for_every_seed(simulate: Simulate) -> None:
    study, trials = simulate()
    fewer = _without(trials, 1, ensemble="boosting", size=4, distillation="none", bits=8)
    result = pair_up(study, fewer, ENSEMBLE, "boosting", "single", unmatched=[SIZE])
    assert len(result.pairs) == 17 * 3
    assert result.left_out == 2


def test_an_incomplete_seed_is_omitted(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0, 1, 2, 3))
    begun = [trial for trial in trials if trial.seed != 3 or trial.number < 12]
    result = pair_up(study, begun, DISTILLATION, "prediction", "none")
    assert result.seeds() == (0, 1, 2)


def test_failed_trials_form_no_pair(simulate: Simulate) -> None:
    study, trials = simulate()
    broken = [
        evolve(trial, state=TrialState.FAILED, metrics={}) if trial.parameters[ENSEMBLE] == "single" else trial
        for trial in trials
    ]
    result = pair_up(study, broken, ENSEMBLE, "boosting", "single", unmatched=[SIZE])
    assert (result.pairs, result.left_out) == ((), 54)


def test_a_subgroup_has_one_value_of_the_other_option(simulate: Simulate) -> None:
    study, trials = simulate()
    part = pair_up(study, trials, ENSEMBLE, "boosting", "single", unmatched=[SIZE]).where(SIZE, 4)
    assert len(part.pairs) == 18
    assert {pair.compared.parameters[SIZE] for pair in part.pairs} == {4}
