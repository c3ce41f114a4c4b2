from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord
from bebertlab.report.document import Figure, Table
from bebertlab.report.material import material
from bebertlab.report.section_answers import answers

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_every_question_has_its_section(simulate: Simulate) -> None:
    study, trials = simulate()
    sections = answers(material(study, trials))
    assert [one.title for one in sections] == ["Answers", *(question.text for question in study.questions)]
    kinds = [{type(block) for block in one.blocks} for one in sections[1:]]
    assert all({Table, Figure} <= found for found in kinds)
    # a numeric option without a baseline has its curve too
    assert sum(isinstance(block, Figure) for block in sections[3].blocks) == 2


def test_questions_without_an_answer_have_no_plot(simulate: Simulate) -> None:
    study, trials = simulate()
    lost = evolve(study, questions=(Question(text="And epochs?", compare="train.epochs"),))
    (_, section) = answers(material(lost, trials))
    assert not any(isinstance(block, Table | Figure) for block in section.blocks)
    assert answers(material(evolve(study, questions=()), trials)) == []


def test_the_note_says_how_differences_are_made(simulate: Simulate) -> None:
    study, trials = simulate()
    of = {"single": "none", "bagging": "prediction", "boosting": "two-stage"}
    apart = [one for one in trials if one.parameters["members.distillation"] == of[one.parameters["members.ensemble"]]]
    across = _note(study, trials, study.questions)
    paired = _note(study, trials, study.questions[1:])
    unpaired = _note(study, apart, study.questions[:1])
    assert "one value only" in across
    assert "not paired" not in across + paired
    assert "the same other options; its" in paired
    assert "A paired" not in unpaired
    assert "One that is not paired" in unpaired


def _note(study: StudyRecord, trials: Sequence[TrialRecord], questions: tuple[Question, ...]) -> str:
    return str(answers(material(evolve(study, questions=questions), trials))[0].blocks[0])


def test_too_few_seeds_are_said_at_once(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    section = answers(material(study, trials))[0]
    assert "with fewer than 3 nothing is claimed" in str(section.blocks[0])


def test_a_caption_speaks_of_what_is_drawn(simulate: Simulate) -> None:
    study, trials = simulate()
    four = evolve(study, questions=(evolve(study.questions[0], where={"members.size": [4]}),))
    of = {"single": "none", "bagging": "prediction", "boosting": "two-stage"}
    apart = [one for one in trials if one.parameters["members.distillation"] == of[one.parameters["members.ensemble"]]]
    paired, unpaired = (_captions(four, some)[0] for some in (trials, apart))
    assert ("over all pairs with" in paired, "Grey" in paired) == (True, True)
    assert ("over all points with" in unpaired, "Grey" in unpaired) == (True, False)


def test_a_curve_is_of_the_trials_that_count(simulate: Simulate) -> None:
    study, trials = simulate()
    steps = study.questions[2]
    every, boosted = (
        answers(material(evolve(study, questions=(study.questions[0], one)), trials))[-1].blocks[-1]
        for one in (steps, evolve(steps, where={"members.ensemble": ["boosting"]}))
    )
    assert isinstance(every, Figure)
    assert isinstance(boosted, Figure)
    assert ">bagging<" in every.svg
    assert ">bagging<" not in boosted.svg


def _captions(study: StudyRecord, trials: Sequence[TrialRecord]) -> list[str]:
    sections = answers(material(study, trials))
    return [block.caption for one in sections for block in one.blocks if isinstance(block, Figure)]


def test_an_option_with_many_values_is_scattered(simulate: Simulate) -> None:
    study, trials = simulate()
    rates = tuple(0.001 * place for place in range(1, 43))
    drawn = [evolve(one, parameters={"train.lr": rates[place // 3]}) for place, one in enumerate(trials)]
    question = Question(text="Which rate?", compare="train.lr")
    (_, section) = answers(material(evolve(study, axes={"train.lr": rates}, questions=(question,)), drawn))
    assert [block.name for block in section.blocks if isinstance(block, Figure)] == ["answer-1"]
