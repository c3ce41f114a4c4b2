from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question
from bebertlab.interfaces.sampler import Objective
from bebertlab.report.answers import Answer, Comparison, Conclusion, Trend, answer
from bebertlab.report.statistics import Estimate, Interval
from bebertlab.report.wording import MOST_SENTENCES, conclusion_label, grouped, headlines, is_grouped, sentences

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


BOOST = Question(text="?", compare="members.ensemble", baseline="single")
STEPS = Question(text="?", compare="members.size")


def _comparison(mean: float, half: float | None, *, seeds: int = 3, adjusted: float | None = 0.01) -> Comparison:
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return Comparison(
        value="boosting",
        baseline="single",
        estimate=Estimate(Interval(mean, low, high, seeds), adjusted, 1.5),
        adjusted=adjusted,
        pairs=9,
    )


def _sentence(simulate: Simulate, comparison: Comparison, question: Question = BOOST, *, maximize: bool = True) -> str:
    study, _ = simulate()
    return sentences(
        evolve(study, objectives=(Objective(goal="maximize" if maximize else "minimize"),)),
        Answer(question=question, comparisons=(comparison,)),
    )[0]


def test_a_shown_difference_is_stated(simulate: Simulate) -> None:
    assert _sentence(simulate, _comparison(2.0, 0.5)) == (
        "boosting is better than single by 2.00 points (95% interval 1.50 to 2.50; 3 seeds, 9 pairs)."
    )


def test_differences_within_pairs_are_reported_with_the_conclusion(simulate: Simulate) -> None:
    study, _ = simulate()
    comparison = evolve(_comparison(2.0, 0.5), baseline_fixed={"members.size": 1, "members.distillation": "none"})
    answered = Answer(question=BOOST, comparisons=(comparison,))
    assert sentences(study, answered)[0].endswith("3 seeds, 9 pairs; single has size 1 and distillation none only).")
    assert headlines(study, answered)[0] == (
        "boosting is better than single by 2.00 points (single has size 1 and distillation none only)."
    )


def test_a_headline_names_unpaired_options(simulate: Simulate) -> None:
    study, _ = simulate()
    answered = Answer(question=BOOST, comparisons=(evolve(_comparison(2.0, 0.5), paired=False),))
    assert headlines(study, answered)[0] == "boosting is better than single by 2.00 points (not paired)."


def test_a_lower_score_is_worse_unless_lower_is_better(simulate: Simulate) -> None:
    evidence = "than single by 2.00 points (95% interval 1.50 to 2.50"
    assert f"boosting is worse {evidence}" in _sentence(simulate, _comparison(-2.0, 0.5))
    assert f"boosting is worse {evidence}" in _sentence(simulate, _comparison(2.0, 0.5), maximize=False)
    assert f"boosting is better {evidence}" in _sentence(simulate, _comparison(-2.0, 0.5), maximize=False)


def test_without_a_baseline_values_are_named_with_their_option(simulate: Simulate) -> None:
    comparison = evolve(_comparison(-2.0, 0.5), value=4, baseline=2)
    assert "size 4 is worse than size 2 by 2.00 points" in _sentence(simulate, comparison, STEPS)


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (_comparison(0.2, 0.5, adjusted=0.6), "no difference shown; boosting minus single: +0.20 points"),
        (_comparison(0.6, 0.5, adjusted=0.07), "no difference shown after correction for the number of comparisons"),
        (_comparison(5.0, 0.5, seeds=2), "no conclusion with fewer than 3 seeds"),
        (_comparison(0.0, None, adjusted=None), "have the same mean score in every seed"),
        (_comparison(1.0, None, adjusted=None), "in every seed; no conclusion without spread over seeds"),
        (
            evolve(_comparison(2.0, 0.5, seeds=2), paired=False),
            "fewer than 3 points (95% interval +1.50 to +2.50; not paired",
        ),
    ],
)
def test_differences_that_are_not_shown_are_not_stated(
    simulate: Simulate, comparison: Comparison, sentence: str
) -> None:
    texts = _sentence(simulate, comparison)
    assert sentence in texts
    assert "better" not in texts
    assert "better" not in headlines(simulate()[0], Answer(question=BOOST, comparisons=(comparison,)))[0]


def test_no_difference_is_stated_with_the_detectable_difference(simulate: Simulate) -> None:
    assert "minimum detectable difference: 1.50" in _sentence(simulate, _comparison(0.2, 0.5, adjusted=0.6))


def test_costs_are_compared_with_the_baseline(simulate: Simulate) -> None:
    study, trials = simulate()
    question = Question(text="?", compare="members.distillation", baseline="none", cost="members")
    answered = answer(study, question, trials)
    texts = sentences(study, answered)[-1]
    assert texts.startswith("Training of members: prediction: 1.3")
    assert texts.count("x the training time of none") == 2
    assert "x the training time of prediction" not in texts
    assert headlines(study, answered)[-1].count("x the training time of none") == 2


def test_trends_and_missing_comparisons_are_stated(simulate: Simulate) -> None:
    study, _ = simulate()
    question = Question(text="?", compare="members.size")
    rising = Trend(values=(1.0,), scores=(1.0,), correlation=Interval(0.8, 0.6, 0.9, 20))
    flat = evolve(rising, correlation=Interval(0.1, -0.3, 0.5, 20))
    assert "The score rises with size" in sentences(study, Answer(question=question, trend=rising))[0]
    assert "No trend shown over size" in sentences(study, Answer(question=question, trend=flat))[0]
    short = Answer(question=question, trend=evolve(rising, correlation=None))
    assert "too few points" in sentences(study, short)[0]
    assert headlines(study, Answer(question=question, obstacle="it was fixed")) == ("Not answered: it was fixed.",)


def test_conclusions_have_short_names() -> None:
    assert conclusion_label(_comparison(2.0, 0.5), maximize=True) == "better"
    assert conclusion_label(_comparison(2.0, 0.5), maximize=False) == "worse"
    assert conclusion_label(_comparison(2.0, 0.5, seeds=1), maximize=True) == "too few seeds"
    assert {conclusion_label(_comparison(0.1, 0.5, adjusted=0.8), maximize=goal) for goal in (True, False)} == {
        "not shown"
    }
    assert len(Conclusion) == 6


def test_the_condition_of_a_question_is_stated_once(simulate: Simulate) -> None:
    study, trials = simulate()
    question = evolve(BOOST, where={"members.size": [2, 4]})
    answered = answer(study, question, trials)
    for texts in (sentences(study, answered), headlines(study, answered)):
        assert texts[0] == "Only trials with size 2 or 4 count; single has size 1 only."
        assert " ".join(texts).count("single has size 1 only") == 1
    assert "single has size 1 only" in " ".join(headlines(study, answer(study, BOOST, trials))[1:])


QUESTION = Question(text="?", compare="student.scheme", baseline="bibert")


def compared(name: str, mean: float, *, adjusted: float | None = 0.01, seeds: int = 3, half: float = 0.5) -> Comparison:
    shown = Interval(mean, None if adjusted is None else mean - half, None if adjusted is None else mean + half, seeds)
    return Comparison(
        value={"kind": name, "weight_bits": 1, "activation_bits": 4},
        baseline="bibert",
        estimate=Estimate(shown, adjusted, 1.0),
        adjusted=adjusted,
        pairs=3,
    )


COMPARED = Answer(
    question=QUESTION,
    comparisons=(
        compared("b", 2.0),
        compared("a", 3.0),
        compared("c", -2.0),
        compared("d", 0.1),
        compared("e", 0.7, adjusted=0.2),
        compared("f", 0.0, adjusted=None),
        compared("g", 1.0, adjusted=None),
        compared("h", -4.0, seeds=2),
    ),
)


def test_many_comparisons_are_named_by_their_conclusions_best_first(simulate: Simulate) -> None:
    study, _ = simulate()
    assert grouped(study, COMPARED) == (
        "Better than bibert: a W1A4 +3.00, b W1A4 +2.00 points.",
        "Worse than bibert: c W1A4 -2.00 points.",
        "No difference from bibert shown: d W1A4 +0.10 points.",
        "No difference from bibert shown after correction for 8 comparisons: e W1A4 +0.70 points.",
        "The same mean score as bibert in every seed: f W1A4 0.00 points.",
        "Difference from bibert, the same in every seed (no conclusion without spread over seeds):"
        " g W1A4 +1.00 points.",
        "Difference from bibert (no conclusion with fewer than 3 seeds): h W1A4 -4.00 points.",
    )


def test_where_lower_is_better_the_lower_value_is_better(simulate: Simulate) -> None:
    study, _ = simulate()
    answered = grouped(evolve(study, objectives=(Objective(goal="minimize"),)), COMPARED)
    assert answered[:2] == (
        "Better than bibert: c W1A4 -2.00 points.",
        "Worse than bibert: b W1A4 +2.00, a W1A4 +3.00 points.",
    )


def test_differences_within_pairs_are_reported_at_the_end(simulate: Simulate) -> None:
    study, _ = simulate()
    comparison = [
        evolve(item, baseline_fixed={"members.size": 1}) if index < 2 else item
        for index, item in enumerate(COMPARED.comparisons)
    ]
    texts = grouped(study, evolve(COMPARED, comparisons=tuple(comparison)))
    assert texts[:-1] == grouped(study, COMPARED)
    assert texts[-1] == "The pairs of b W1A4 and a W1A4 differ in other options too: bibert has size 1 only."


def test_unpaired_options_are_reported_at_the_end(simulate: Simulate) -> None:
    study, _ = simulate()
    first, *others = COMPARED.comparisons
    texts = grouped(study, evolve(COMPARED, comparisons=(evolve(first, paired=False), *others)))
    assert texts == (*grouped(study, COMPARED), "Not paired, their points differ in other options too: b W1A4.")


def test_pairing_is_reported_everywhere_in_a_report(simulate: Simulate) -> None:
    study, _ = simulate()
    assert sentences(study, COMPARED) == headlines(study, COMPARED) == grouped(study, COMPARED)


def test_a_few_comparisons_and_steps_have_one_sentence_each(simulate: Simulate) -> None:
    study, _ = simulate()
    few = evolve(COMPARED, comparisons=COMPARED.comparisons[:MOST_SENTENCES])
    stepwise = evolve(
        COMPARED, comparisons=tuple(evolve(item, baseline=i) for i, item in enumerate(COMPARED.comparisons))
    )
    assert not is_grouped(few)
    assert not is_grouped(stepwise)
    assert len(sentences(study, few)) == MOST_SENTENCES
