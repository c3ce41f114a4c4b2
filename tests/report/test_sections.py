from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.sampler import Objective
from bebertlab.report.document import Figure, Table, Text
from bebertlab.report.report_data import Material, material
from bebertlab.report.sections import all_points, fronts

if TYPE_CHECKING:
    from tests.report.conftest import Simulate
from collections.abc import Callable, Sequence

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord
from bebertlab.report.sections import answers, failures, select_optimism, step_scores, training_time


def test_several_objectives_have_a_front_of_their_own(simulate: Simulate) -> None:
    study, trials = simulate()
    objectives = (Objective(), Objective(metric="size/total_mebibytes", goal="minimize"))
    section = fronts(material(evolve(study, objectives=objectives), trials))[0]
    assert section.title == "Pareto front of the objectives"
    table = section.blocks[1]
    assert isinstance(table, Table)
    assert table.columns[-2:] == ("validation/score", "size/total_mebibytes")
    scores, sizes = ([float(row[column]) for row in table.rows] for column in (-2, -1))
    assert scores == sorted(scores, reverse=True)
    assert sizes == sorted(sizes, reverse=True)
    assert 1 < len(sizes) < len(material(study, trials).points)
    assert table.rows[0][0] == "#1"


def test_points_and_fronts(simulate: Simulate) -> None:
    made = material(*simulate())
    assert [block.name for block in all_points(made).blocks if isinstance(block, Figure)] == ["points"]
    assert [one.title for one in fronts(made)] == ["Score against size", "Score against training time"]


def test_operations_have_a_front_where_they_differ(simulate: Simulate) -> None:
    study, trials = simulate()
    costly = [evolve(one, metrics={**one.metrics, "cost/gigaflops": one.parameters["members.size"]}) for one in trials]
    names = [block.name for one in fronts(material(study, costly)) for block in one.blocks if isinstance(block, Figure)]
    assert names == ["pareto-size", "pareto-operations", "pareto-seconds"]
    said, plain = (all_points(material(study, some)).blocks[0] for some in (costly, trials))
    assert isinstance(said, Text)
    assert isinstance(plain, Text)
    assert ("GFLOPs: one sentence" in said.words, "GFLOPs" in plain.words) == (True, False)
    assert "Total: with scales" in plain.words


def test_a_single_trial_has_no_plots(simulate: Simulate) -> None:
    study, trials = simulate()
    made = material(study, trials[:1])
    assert not [block for block in all_points(made).blocks if isinstance(block, Figure)]
    assert fronts(made) == []


def test_rejected_members_are_told(simulate: Simulate) -> None:
    study, trials = simulate()
    assert not _rejected(material(study, trials))
    lost = [evolve(one, metrics={**one.metrics, "members/kept": 1.0}) if one.number < 7 else one for one in trials]
    made = material(study, lost)
    searched = [one.parameters for one in lost[:7] if one.parameters["members.size"] > 1]
    of_them = [f"#{point.number}" for point in made.points if point.parameters in searched]
    (told,) = _rejected(made)
    assert len(of_them) == 1
    assert f"vote in {of_them[0]}: the others were rejected" in told


def _rejected(made: Material) -> list[str]:
    return [block.words for block in all_points(made).blocks if isinstance(block, Text) and "rejected" in block.words]


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


def test_sections(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    made = material(study, [fail(trials[0]), *trials[1:]])
    assert "the loss became NaN" in str(failures(made))
    assert "half_teacher" in str(step_scores(made))
    assert "without the store the trials would have taken 1 h" in str(training_time(made))
    assert "+1.00 points" in str(select_optimism(made))


def test_nothing_to_say_is_no_section(simulate: Simulate) -> None:
    study, trials = simulate()
    bare = [evolve(one, stages=(), metrics={"validation/score": 1.0}) for one in trials]
    made = material(study, bare)
    assert failures(made) == step_scores(made) == training_time(made) == select_optimism(made) == []
