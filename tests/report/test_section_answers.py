from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import Question
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


def test_too_few_seeds_are_said_at_once(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    section = answers(material(study, trials))[0]
    assert "with fewer than 3 nothing is claimed" in str(section.blocks[0])


def test_an_option_with_many_values_is_scattered(simulate: Simulate) -> None:
    study, trials = simulate()
    rates = tuple(0.001 * place for place in range(1, 43))
    drawn = [evolve(one, parameters={"train.lr": rates[place // 3]}) for place, one in enumerate(trials)]
    question = Question(text="Which rate?", compare="train.lr")
    (_, section) = answers(material(evolve(study, axes={"train.lr": rates}, questions=(question,)), drawn))
    assert [block.name for block in section.blocks if isinstance(block, Figure)] == ["answer-1"]
