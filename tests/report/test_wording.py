from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question
from bebertlab.interfaces.sampler import Objective
from bebertlab.report.answers import Answer, Comparison, Conclusion, Trend, answer
from bebertlab.report.statistics import Estimate, Interval
from bebertlab.report.wording import headlines, sentences, verdict_label

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

BOOST = Question(text="?", compare="members.ensemble", baseline="single")
STEPS = Question(text="?", compare="members.size")


def _made(mean: float, half: float | None, *, seeds: int = 3, adjusted: float | None = 0.01) -> Comparison:
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return Comparison(
        value="boosting",
        baseline="single",
        estimate=Estimate(Interval(mean, low, high, seeds), adjusted, 1.5),
        adjusted=adjusted,
        pairs=9,
    )


def _said(simulate: Simulate, made: Comparison, question: Question = BOOST, *, maximize: bool = True) -> str:
    study, _ = simulate()
    objective = Objective(goal="maximize" if maximize else "minimize")
    return sentences(evolve(study, objectives=(objective,)), Answer(question=question, comparisons=(made,)))[0]


def test_a_shown_difference(simulate: Simulate) -> None:
    assert _said(simulate, _made(2.0, 0.5)) == (
        "boosting beats single by 2.00 points (95% interval 1.50 to 2.50; 3 seeds, 9 pairs)."
    )


def test_what_pairs_differ_in_is_said_with_the_claim(simulate: Simulate) -> None:
    study, _ = simulate()
    made = evolve(_made(2.0, 0.5), across={"members.size": 1, "members.distillation": "none"})
    found = Answer(question=BOOST, comparisons=(made,))
    assert sentences(study, found)[0].endswith("3 seeds, 9 pairs; single has size 1 and distillation none only).")
    assert headlines(study, found)[0] == (
        "boosting beats single by 2.00 points (single has size 1 and distillation none only)."
    )


def test_a_headline_says_what_is_not_paired(simulate: Simulate) -> None:
    study, _ = simulate()
    found = Answer(question=BOOST, comparisons=(evolve(_made(2.0, 0.5), paired=False),))
    assert headlines(study, found)[0] == "boosting beats single by 2.00 points (not paired)."


def test_the_winner_comes_first(simulate: Simulate) -> None:
    wanted = "single beats boosting by 2.00 points (95% interval 1.50 to 2.50"
    assert wanted in _said(simulate, _made(-2.0, 0.5))
    assert wanted in _said(simulate, _made(2.0, 0.5), maximize=False)


def test_a_step_that_loses_is_worse(simulate: Simulate) -> None:
    made = evolve(_made(-2.0, 0.5), value=4, baseline=2)
    assert "size 4 is 2.00 points worse than size 2" in _said(simulate, made, STEPS)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (_made(0.2, 0.5, adjusted=0.6), "no difference shown; boosting minus single is +0.20 points"),
        (_made(0.6, 0.5, adjusted=0.07), "no difference shown once corrected"),
        (_made(5.0, 0.5, seeds=2), "no claim with fewer than 3 seeds"),
        (_made(0.0, None, adjusted=None), "reached the same mean score in every seed"),
        (_made(1.0, None, adjusted=None), "without spread over seeds nothing is claimed"),
        (
            evolve(_made(2.0, 0.5, seeds=2), paired=False),
            "fewer than 3 points (95% interval +1.50 to +2.50; not paired",
        ),
    ],
)
def test_what_is_not_shown_is_not_claimed(simulate: Simulate, made: Comparison, words: str) -> None:
    said = _said(simulate, made)
    assert words in said
    assert "beats" not in said
    assert "beats" not in headlines(simulate()[0], Answer(question=BOOST, comparisons=(made,)))[0]


def test_no_difference_says_what_would_have_been_seen(simulate: Simulate) -> None:
    assert "a study like this shows differences of about 1.50" in _said(simulate, _made(0.2, 0.5, adjusted=0.6))


def test_costs_are_told_against_the_baseline(simulate: Simulate) -> None:
    study, trials = simulate()
    question = Question(text="?", compare="members.distillation", baseline="none", cost="members")
    found = answer(study, question, trials)
    said = sentences(study, found)[-1]
    assert said.startswith("Training seconds in members: prediction takes 1.3")
    assert said.count("times those of none") == 2
    assert "times those of prediction" not in said
    assert headlines(study, found)[-1].count("times those of none") == 2


def test_trends_and_obstacles(simulate: Simulate) -> None:
    study, _ = simulate()
    question = Question(text="?", compare="members.size")
    rising = Trend(values=(1.0,), scores=(1.0,), correlation=Interval(0.8, 0.6, 0.9, 20))
    flat = evolve(rising, correlation=Interval(0.1, -0.3, 0.5, 20))
    assert "The score rises with size" in sentences(study, Answer(question=question, trend=rising))[0]
    assert "No trend over size shown" in sentences(study, Answer(question=question, trend=flat))[0]
    short = Answer(question=question, trend=evolve(rising, correlation=None))
    assert "too few points" in sentences(study, short)[0]
    assert headlines(study, Answer(question=question, obstacle="it was fixed")) == ("Not answered: it was fixed.",)


def test_verdicts_have_short_names() -> None:
    assert verdict_label(_made(2.0, 0.5), maximize=True) == "better"
    assert verdict_label(_made(2.0, 0.5), maximize=False) == "worse"
    assert verdict_label(_made(2.0, 0.5, seeds=1), maximize=True) == "too few seeds"
    assert {verdict_label(_made(0.1, 0.5, adjusted=0.8), maximize=goal) for goal in (True, False)} == {"not shown"}
    assert len(Conclusion) == 6


def test_what_the_sentence_on_the_condition_says_is_not_repeated(simulate: Simulate) -> None:
    study, trials = simulate()
    question = evolve(BOOST, where={"members.size": [2, 4]})
    found = answer(study, question, trials)
    for said in (sentences(study, found), headlines(study, found)):
        assert said[0] == "Only trials with size 2 or 4 count; single has size 1 only."
        assert " ".join(said).count("single has size 1 only") == 1
    assert "single has size 1 only" in " ".join(headlines(study, answer(study, BOOST, trials))[1:])
