from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import Question
from bebertlab.interfaces.sampler import Objective
from bebertlab.report.answers import Answer, Comparison
from bebertlab.report.statistics import Estimate, Interval
from bebertlab.report.summaries import MANY, is_many, many
from bebertlab.report.wording import headlines, sentences

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

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


FOUND = Answer(
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


def test_many_comparisons_are_told_by_their_verdicts_best_first(simulate: Simulate) -> None:
    study, _ = simulate()
    assert many(study, FOUND) == (
        "Better than bibert: a W1A4 +3.00, b W1A4 +2.00 points.",
        "Worse than bibert: c W1A4 -2.00 points.",
        "No difference from bibert shown: d W1A4 +0.10 points.",
        "No difference from bibert shown once corrected for 8 comparisons: e W1A4 +0.70 points.",
        "The same mean score as bibert in every seed: f W1A4 0.00 points.",
        "Minus bibert, without spread over seeds, so nothing is claimed: g W1A4 +1.00 points.",
        "Minus bibert, and no claim with fewer than 3 seeds: h W1A4 -4.00 points.",
    )


def test_where_less_is_better_so_is_what_is_below(simulate: Simulate) -> None:
    study, _ = simulate()
    found = many(evolve(study, objectives=(Objective(goal="minimize"),)), FOUND)
    assert found[:2] == (
        "Better than bibert: c W1A4 -2.00 points.",
        "Worse than bibert: b W1A4 +2.00, a W1A4 +3.00 points.",
    )


def test_what_pairs_differ_in_is_said_at_the_end(simulate: Simulate) -> None:
    study, _ = simulate()
    made = [
        evolve(one, across={"members.size": 1}) if place < 2 else one for place, one in enumerate(FOUND.comparisons)
    ]
    said = many(study, evolve(FOUND, comparisons=tuple(made)))
    assert said[:-1] == many(study, FOUND)
    assert said[-1] == "The pairs of b W1A4 and a W1A4 differ in more: bibert has size 1 only."


def test_what_is_not_paired_is_said_at_the_end(simulate: Simulate) -> None:
    study, _ = simulate()
    first, *others = FOUND.comparisons
    said = many(study, evolve(FOUND, comparisons=(evolve(first, paired=False), *others)))
    assert said == (*many(study, FOUND), "Not paired, their points differ in other options too: b W1A4.")


def test_a_report_says_so_everywhere(simulate: Simulate) -> None:
    study, _ = simulate()
    assert sentences(study, FOUND) == headlines(study, FOUND) == many(study, FOUND)


def test_a_few_comparisons_and_steps_have_a_sentence_each(simulate: Simulate) -> None:
    study, _ = simulate()
    few = evolve(FOUND, comparisons=FOUND.comparisons[:MANY])
    steps = evolve(FOUND, comparisons=tuple(evolve(one, baseline=i) for i, one in enumerate(FOUND.comparisons)))
    assert not is_many(few)
    assert not is_many(steps)
    assert len(sentences(study, few)) == MANY
