from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question
from bebertlab.report.answers import answer
from bebertlab.report.cells import cells, condition, counted, meets, place, said_at
from bebertlab.report.wording import headlines, sentences

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

BITS, DISTILLATION = "ternary.scheme.activation_bits", "members.distillation"
ENSEMBLE, SIZE = "members.ensemble", "members.size"
BOOST = Question(text="?", compare=ENSEMBLE, baseline="single")


def test_a_value_of_one_size_is_compared_with_each_size_by_itself(simulate: Simulate) -> None:
    """Averaged over sizes, ensembles of one member would count as ensembles."""
    study, trials = simulate()
    found = cells(study, BOOST, ("boosting", "single"))
    assert [cell.at for cell in found] == [{SIZE: 1}, {SIZE: 2}, {SIZE: 4}]
    for cell in found:
        ours, theirs = cell.trials(ENSEMBLE, ("boosting", "single"), trials)
        assert {one.parameters[SIZE] for one in ours} == {cell.at[SIZE]}
        assert {one.parameters[SIZE] for one in theirs} == {1}
        assert (cell.across, cell.own) == ({SIZE: 1}, {})


def test_the_other_comparisons_of_the_question_are_made_at_the_same_sizes(simulate: Simulate) -> None:
    study, trials = simulate()
    for cell in cells(study, BOOST, ("boosting", "bagging")):
        ours, theirs = cell.trials(ENSEMBLE, ("boosting", "bagging"), trials)
        assert {one.parameters[SIZE] for one in (*ours, *theirs)} == {cell.at[SIZE]}


def test_a_condition_binds_both_sides_save_the_one_that_cannot_meet_it(simulate: Simulate) -> None:
    study, trials = simulate()
    question = evolve(BOOST, where={SIZE: [2, 4], DISTILLATION: "none"})
    (two, four) = cells(study, question, ("bagging", "single"))
    assert (two.at, four.at) == ({SIZE: 2}, {SIZE: 4})
    ours, theirs = four.trials(ENSEMBLE, ("bagging", "single"), trials)
    assert {(one.parameters[SIZE], one.parameters[DISTILLATION]) for one in ours} == {(4, "none")}
    assert {(one.parameters[SIZE], one.parameters[DISTILLATION]) for one in theirs} == {(1, "none")}


def test_so_it_is_on_whichever_side_of_the_comparison_it_stands(simulate: Simulate) -> None:
    study, trials = simulate()
    question = evolve(BOOST, baseline="bagging", where={SIZE: [4]})
    (cell,) = cells(study, question, ("single", "bagging"))
    assert (cell.at, cell.own, cell.across) == ({SIZE: 4}, {SIZE: 1}, {})
    ours, theirs = cell.trials(ENSEMBLE, ("single", "bagging"), trials)
    assert ({one.parameters[SIZE] for one in ours}, {one.parameters[SIZE] for one in theirs}) == ({1}, {4})
    said = headlines(study, answer(study, question, trials))
    assert said[:2] == ("Only trials with size 4 count.", "boosting beats bagging by 3.09 points.")
    assert said[2].startswith("At size 4: bagging beats single by 1.")
    assert said[2].endswith("(single has size 1 only).")


def test_without_a_condition_and_a_baseline_equals_are_compared_and_that_is_said(simulate: Simulate) -> None:
    study, _ = simulate()
    for question in (evolve(BOOST, baseline="bagging"), evolve(BOOST, baseline=None)):
        (cell,) = cells(study, question, ("single", "bagging"))
        assert (cell.at, cell.own, cell.across) == ({SIZE: 1}, {}, {})
        assert [one.at for one in cells(study, question, ("boosting", "bagging"))] == [{}]


def test_what_neither_side_has_a_choice_of_is_not_split(simulate: Simulate) -> None:
    study, _ = simulate()
    other = evolve(study, resolved="exclude: [{members.ensemble: [single, bagging], members.size: [2, 4]}]\n")
    (cell,) = cells(other, BOOST, ("bagging", "single"))
    assert cell.at == {}
    assert len(cells(other, BOOST, ("boosting", "single"))) == 3
    assert cells(other, evolve(BOOST, where={SIZE: [4]}), ("bagging", "single")) == []


def test_a_question_can_be_answered_for_each_value_of_an_option(simulate: Simulate) -> None:
    study, trials = simulate()
    steps = Question(text="?", compare=SIZE, by=DISTILLATION)
    found = answer(study, steps, trials).comparisons
    assert [(one.value, one.at) for one in found] == [
        (size, {DISTILLATION: value}) for value in ("none", "prediction", "two-stage") for size in (2, 4)
    ]
    assert {one.pairs for one in found} == {12}
    whole = answer(study, evolve(steps, by=None), trials).comparisons[0]
    mean = sum(one.estimate.interval.mean for one in found[::2]) / 3
    assert mean == pytest.approx(whole.estimate.interval.mean)


def test_the_correction_is_over_all_comparisons_of_a_question(simulate: Simulate) -> None:
    study, trials = simulate()
    made = answer(study, BOOST, trials).comparisons
    smallest = min(one.estimate.p or 1.0 for one in made)
    assert len(made) == 9
    assert min(one.adjusted or 1.0 for one in made) == pytest.approx(9 * smallest)


def test_a_condition_that_nothing_meets_is_no_answer(simulate: Simulate) -> None:
    study, trials = simulate()
    found = answer(study, Question(text="?", compare=SIZE, where={ENSEMBLE: ["single"]}), trials)
    assert found.obstacle == "no trials that meet its condition (`where`)"


def test_a_trend_is_of_the_trials_that_count_and_is_not_split(simulate: Simulate) -> None:
    study, trials = simulate()
    rates = tuple(0.001 * one for one in range(1, 43))
    drawn = [evolve(one, parameters={**one.parameters, "train.lr": rates[i // 3]}) for i, one in enumerate(trials)]
    searched = evolve(study, axes={**study.axes, "train.lr": rates})
    question = Question(text="?", compare="train.lr", where={ENSEMBLE: ["boosting"]})
    trend = answer(searched, question, drawn).trend
    assert trend is not None
    assert len(trend.values) == 18
    assert "`by` suits a few" in answer(searched, evolve(question, by=SIZE), drawn).obstacle


def test_conditions_in_words(simulate: Simulate) -> None:
    study, trials = simulate()
    assert condition(study, BOOST) == ""
    two = Question(text="?", compare=DISTILLATION, where={SIZE: [2, 4], ENSEMBLE: "bagging"}, by=BITS)
    assert condition(study, two) == "Only trials with size 2 or 4 and ensemble bagging count."
    with_single = "Only trials with size 4 count; single has size 1 only."
    assert condition(study, evolve(BOOST, where={SIZE: [4]})) == with_single
    for say in (sentences, headlines):
        assert say(study, answer(study, two, trials))[0] == condition(study, two)
    assert said_at(study, {SIZE: 4, DISTILLATION: "none"}) == "size 4, distillation none"
    assert place(study, SIZE, 4) == 2
    of_four = counted(Question(text="?", compare=ENSEMBLE, where={SIZE: 4}), trials)
    assert {one.parameters[SIZE] for one in of_four} == {4}
    assert meets(trials[0], {SIZE: [1], ENSEMBLE: ["single", "bagging"]})
    assert not meets(trials[0], {"train.lr": [1]})
