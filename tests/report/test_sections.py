from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord
from bebertlab.interfaces.sampler import Constraint, Objective
from bebertlab.report.document import Code, Figure, Table, Text
from bebertlab.report.plots_curves import Curve, group_curves
from bebertlab.report.report_data import ReportData, collect
from bebertlab.report.sections import (
    all_points,
    answers,
    best_model,
    failures,
    learning_curves,
    pareto_sections,
    selection_bias_sections,
    stage_score_sections,
    time_by_stage,
)

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_points_and_fronts_are_sections(simulate: Simulate) -> None:
    data = collect(*simulate())
    assert [block.name for block in all_points(data).blocks if isinstance(block, Figure)] == ["points"]
    assert [item.title for item in pareto_sections(data)] == ["Score against size", "Score against training time"]


def test_operations_have_a_separate_front_where_they_differ(simulate: Simulate) -> None:
    study, trials = simulate()
    costly = [
        evolve(item, metrics={**item.metrics, "cost/gigaflops": item.parameters["members.size"]}) for item in trials
    ]
    names = [
        block.name
        for item in pareto_sections(collect(study, costly))
        for block in item.blocks
        if isinstance(block, Figure)
    ]
    assert names == ["pareto-size", "pareto-operations", "pareto-seconds"]
    described, plain = (str(all_points(collect(study, some)).blocks[2]) for some in (costly, trials))
    assert ("GFLOPs: one forward pass" in described, "GFLOPs" in plain) == (True, False)
    assert "Total: with scales" in plain


def with_metrics(trials: Sequence[TrialRecord], name: str, value: Callable[[int], float]) -> list[TrialRecord]:
    """The trials with another metric, by the number of members."""
    return [evolve(item, metrics={**item.metrics, name: value(item.parameters["members.size"])}) for item in trials]


def test_fronts_are_by_measured_bytes_and_times_where_all_points_have_them(simulate: Simulate) -> None:
    study, trials = simulate()
    packed = with_metrics(trials, "size/packed_mebibytes", lambda size: 0.7 + 0.01 * size)
    timed = with_metrics(packed, "cost/sentence_milliseconds", lambda size: 2.0 * size)
    sections = {item.title: item.blocks[1] for item in pareto_sections(collect(study, timed))}
    size, time = sections["Score against size"], sections["Score against time"]
    assert isinstance(size, Table)
    assert isinstance(time, Table)
    assert (size.columns[-1], time.columns[-1]) == ("packed MiB", "ms a sentence")
    assert {row[-1] for row in size.rows} <= {"0.710", "0.720", "0.740", "-"}
    assert {row[-1] for row in time.rows} <= {"2.00", "4.00", "8.00", "-"}
    # one point without a file: sizes that are computed are compared with each other
    mixed = [old if old.parameters == trials[0].parameters else new for new, old in zip(packed, trials, strict=True)]
    computed = pareto_sections(collect(study, mixed))[0].blocks[1]
    assert isinstance(computed, Table)
    assert computed.columns[-1] == "size (MiB)"


def test_sizes_without_a_file_are_called_simulated(simulate: Simulate) -> None:
    study, trials = simulate()
    packed = with_metrics(trials, "size/packed_mebibytes", lambda size: 0.7)
    texts = [str(all_points(collect(study, some)).blocks) for some in (trials, [*packed[:3], *trials[3:]], packed)]
    assert ["All sizes are simulated: no model was packed" in text for text in texts] == [True, False, False]
    assert ["Simulated: no model was packed" in text for text in texts] == [False, True, False]
    assert ["Packed: the file of tensors" in text for text in texts] == [False, True, True]


def test_a_single_trial_has_no_plots(simulate: Simulate) -> None:
    study, trials = simulate()
    data = collect(study, trials[:1])
    assert not [block for block in all_points(data).blocks if isinstance(block, Figure)]
    assert pareto_sections(data) == []


def test_rejected_members_are_named(simulate: Simulate) -> None:
    study, trials = simulate()
    assert not _rejected(collect(study, trials))
    rejected = [
        evolve(item, metrics={**item.metrics, "members/kept": 1.0}) if item.number < 7 else item for item in trials
    ]
    data = collect(study, rejected)
    searched = [item.parameters for item in rejected[:7] if item.parameters["members.size"] > 1]
    of_them = [f"#{point.number}" for point in data.points if point.parameters in searched]
    (text,) = _rejected(data)
    assert len(of_them) == 1
    assert f"vote in {of_them[0]}: the others were rejected" in text


def _rejected(data: ReportData) -> list[str]:
    return [block.text for block in all_points(data).blocks if isinstance(block, Text) and "rejected" in block.text]


def test_every_question_has_a_section(simulate: Simulate) -> None:
    study, trials = simulate()
    sections = answers(collect(study, trials))
    assert [item.title for item in sections] == ["Answers", *(question.text for question in study.questions)]
    kinds = [{type(block) for block in item.blocks} for item in sections[1:]]
    assert all({Table, Figure} <= kinds for kinds in kinds)
    # a numeric option without a baseline has its curve too
    assert sum(isinstance(block, Figure) for block in sections[3].blocks) == 2


def test_questions_without_an_answer_have_no_plot(simulate: Simulate) -> None:
    study, trials = simulate()
    rejected = evolve(study, questions=(Question(text="And epochs?", compare="train.epochs"),))
    (_, section) = answers(collect(rejected, trials))
    assert not any(isinstance(block, Table | Figure) for block in section.blocks)
    assert answers(collect(evolve(study, questions=()), trials)) == []


def test_the_note_explains_how_differences_are_computed(simulate: Simulate) -> None:
    study, trials = simulate()
    distillation_of = {"single": "none", "bagging": "prediction", "boosting": "two-stage"}
    separate = [
        item
        for item in trials
        if item.parameters["members.distillation"] == distillation_of[item.parameters["members.ensemble"]]
    ]
    across = _note(study, trials, study.questions)
    paired = _note(study, trials, study.questions[1:])
    unpaired = _note(study, separate, study.questions[:1])
    assert "one value only" in across
    assert "not paired" not in across + paired
    assert "the same other options; its" in paired
    assert "A paired" not in unpaired
    assert "A difference that is not paired" in unpaired


def _note(study: StudyRecord, trials: Sequence[TrialRecord], questions: tuple[Question, ...]) -> str:
    return str(answers(collect(evolve(study, questions=questions), trials))[0].blocks[0])


def test_too_few_seeds_are_reported_at_once(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    section = answers(collect(study, trials))[0]
    assert "no conclusion is drawn from fewer than 3" in str(section.blocks[0])


def test_a_caption_describes_what_is_drawn(simulate: Simulate) -> None:
    study, trials = simulate()
    four = evolve(study, questions=(evolve(study.questions[0], where={"members.size": [4]}),))
    distillation_of = {"single": "none", "bagging": "prediction", "boosting": "two-stage"}
    separate = [
        item
        for item in trials
        if item.parameters["members.distillation"] == distillation_of[item.parameters["members.ensemble"]]
    ]
    paired, unpaired = (_captions(four, some)[0] for some in (trials, separate))
    assert ("over all pairs with" in paired, "Grey" in paired) == (True, True)
    assert ("over all points with" in unpaired, "Grey" in unpaired) == (True, False)


def test_curves_use_the_selected_trials(simulate: Simulate) -> None:
    study, trials = simulate()
    stage_scores = study.questions[2]
    every, boosted = (
        answers(collect(evolve(study, questions=(study.questions[0], item)), trials))[-1].blocks[-1]
        for item in (stage_scores, evolve(stage_scores, where={"members.ensemble": ["boosting"]}))
    )
    assert isinstance(every, Figure)
    assert isinstance(boosted, Figure)
    assert ">bagging<" in every.svg
    assert ">bagging<" not in boosted.svg


def _captions(study: StudyRecord, trials: Sequence[TrialRecord]) -> list[str]:
    sections = answers(collect(study, trials))
    return [block.caption for item in sections for block in item.blocks if isinstance(block, Figure)]


def test_an_option_with_many_values_has_a_scatter_plot(simulate: Simulate) -> None:
    study, trials = simulate()
    rates = tuple(0.001 * index for index in range(1, 43))
    drawn = [evolve(item, parameters={"train.lr": rates[index // 3]}) for index, item in enumerate(trials)]
    question = Question(text="Which rate?", compare="train.lr")
    (_, section) = answers(collect(evolve(study, axes={"train.lr": rates}, questions=(question,)), drawn))
    assert [block.name for block in section.blocks if isinstance(block, Figure)] == ["answer-1"]


def test_a_report_has_all_sections(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    data = collect(study, [fail(trials[0]), *trials[1:]])
    assert "the loss became NaN" in str(failures(data))
    assert "half_teacher" in str(stage_score_sections(data))
    assert "without the store the trials would have taken 1 h" in str(time_by_stage(data))
    assert "+1.00 points" in str(selection_bias_sections(data))


def test_empty_sections_are_omitted(simulate: Simulate) -> None:
    study, trials = simulate()
    bare = [evolve(item, stages=(), metrics={"validation/score": 1.0}) for item in trials]
    data = collect(study, bare)
    assert failures(data) == stage_score_sections(data) == time_by_stage(data) == selection_bias_sections(data) == []


def test_metrics_of_which_lower_values_are_better_are_explained(simulate: Simulate) -> None:
    study, trials = simulate()
    rated = [evolve(item, metrics={**item.metrics, "validation/ece": 3.0 + item.number}) for item in trials]
    assert "validation/ece: expected calibration error" in str(all_points(collect(study, rated)).blocks[2])
    assert "lower is better" not in str(all_points(collect(study, trials)).blocks[2])


def test_the_best_model_is_named_by_the_keys_of_its_stages(simulate: Simulate) -> None:
    study, trials = simulate()
    data = collect(study, trials)
    best = data.best
    assert best is not None
    assert best.trial.metrics["validation/score"] == max(
        item.metrics["validation/score"] for item in data.points[0].trials.values()
    )
    (section,) = best_model(data)
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [row[::2] for row in table.rows] == [(stage.stage, stage.key[:12]) for stage in best.trial.stages]
    assert not any(isinstance(block, Code) for block in section.blocks)  # no stage was trained
    least = collect(evolve(study, objectives=(Objective(goal="minimize"),)), trials).best
    assert least is not None
    assert least.trial.metrics["validation/score"] < best.trial.metrics["validation/score"]


def test_the_last_trained_model_can_be_shown(simulate: Simulate) -> None:
    study, trials = simulate()
    trained = [
        evolve(
            item, stages=tuple(evolve(stage, metrics={**stage.metrics, "train/steps": 9}) for stage in item.stages[:4])
        )
        for item in trials
    ]
    data = collect(study, trained)
    assert data.best is not None
    (section,) = best_model(data)
    (code,) = [block for block in section.blocks if isinstance(block, Code)]
    assert code.text == f"bebertlab model show {data.best.stages[3].key[:12]} --work {study.work}"


def test_without_a_complete_trial_there_is_no_best_model(simulate: Simulate) -> None:
    study, _ = simulate()
    assert best_model(collect(study, [])) == []


def test_each_kind_of_stage_has_a_figure_of_its_curves(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    curve = Curve(losses=((1, 2.0), (2, 1.0)), scores=((2, 50.0),))
    groups = group_curves(study, trials, lambda stage: curve if stage.stage_kind in ("distill", "member") else None)
    (section,) = learning_curves(groups)
    assert [block.name for block in section.blocks if isinstance(block, Figure)] == ["curves-distill", "curves-member"]
    assert learning_curves(()) == []


def test_searched_options_are_named_below_a_question(simulate: Simulate) -> None:
    study, trials = simulate()
    few = [item for item in trials if item.parameters["members.ensemble"] != "bagging"]
    section = answers(collect(study, few))[1]
    assert section.blocks[0] == Text(text="Compared: ensemble single, boosting.")


def test_several_objectives_have_a_front(simulate: Simulate) -> None:
    study, trials = simulate()
    objectives = (Objective(), Objective(metric="size/total_mebibytes", goal="minimize"))
    section = pareto_sections(collect(evolve(study, objectives=objectives), trials))[0]
    assert section.title == "Pareto front of the objectives"
    table = section.blocks[1]
    assert isinstance(table, Table)
    assert table.columns[-2:] == ("validation/score", "size/total_mebibytes")
    scores, sizes = ([float(row[column].split(" ± ")[0]) for row in table.rows] for column in (-2, -1))
    assert all(" ± " in row[-2] for row in table.rows)
    assert scores == sorted(scores, reverse=True)
    assert sizes == sorted(sizes, reverse=True)
    assert 1 < len(sizes) < len(collect(study, trials).points)
    assert table.rows[0][0] == "#1"


def test_points_that_break_a_constraint_follow_the_others_and_are_never_best(simulate: Simulate) -> None:
    study, trials = simulate()
    limited = evolve(study, constraints=(Constraint(metric="size/total_mebibytes", at_most=0.15),))
    data = collect(limited, trials)
    broken = [point.parameters["members.size"] > 1 for point in data.points]
    assert broken == sorted(broken)
    assert [bool(point.broken) for point in data.points] == broken
    assert collect(study, trials).points[0].parameters["members.size"] > 1
    assert data.best is not None
    assert data.best.point.parameters["members.size"] == 1
    first = broken.index(True) + 1
    text = "\n".join(block.text for block in all_points(data).blocks if isinstance(block, Text))
    assert f"Constraints, by means over seeds: size/total_mebibytes at most 0.15. Broken by #{first}" in text
    for section in pareto_sections(data):
        (table,) = (block for block in section.blocks if isinstance(block, Table))
        assert all(int(row[0].strip("#")) < first for row in table.rows)
    impossible = evolve(study, constraints=(Constraint(metric="size/total_mebibytes", at_most=0.01),))
    assert collect(impossible, trials).best is None
    assert pareto_sections(collect(impossible, trials)) == []
