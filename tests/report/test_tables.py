from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question, TrialRecord
from bebertlab.report.answers import answer
from bebertlab.report.document import Note, Table, markdown
from bebertlab.report.points import by_size, pareto_front, points
from bebertlab.report.stages import stage_costs, stage_scores
from bebertlab.report.tables import (
    SIMULATED,
    baselines,
    comparisons_table,
    costs_table,
    failures_table,
    front_table,
    points_table,
    score_decimals,
    selection_bias,
    stage_scores_table,
)
from bebertlab.report.write import compose, summary_table

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_points_have_a_table(simulate: Simulate) -> None:
    study, trials = simulate()
    results = points(study, trials)
    table = points_table(study, results, frozenset({2}))
    assert table.columns == (
        *("#", "activation_bits", "distillation", "ensemble", "size", "validation/score"),
        *("seeds", "members", "total MiB", "training (s)"),
    )
    assert table.marked == {0}
    assert table.rows[1][5].endswith(" ≈")
    assert not table.rows[0][5].endswith("≈")
    assert [table.rows[0][column] for column in (0, 6)] == ["1", "3"]
    # texts and searched values are left-aligned, numbers right-aligned
    assert table.numeric == {0, 5, 6, 7, 8, 9}


def taking(trials: Sequence[TrialRecord], **costs: Callable[[int], float]) -> list[TrialRecord]:
    """The trials with further costs, by the number of members."""
    names = {
        **{"matrix": "size/matrix_mebibytes", "stored": "size/stored_mebibytes", "operations": "cost/gigaflops"},
        **{"packed": "size/packed_mebibytes", "latency": "cost/sentence_milliseconds"},
    }
    return [
        evolve(
            trial,
            metrics={
                **trial.metrics,
                **{names[what]: cost(int(trial.metrics["members/count"])) for what, cost in costs.items()},
            },
        )
        for trial in trials
    ]


def test_options_are_named_where_points_differ_in_them(simulate: Simulate) -> None:
    study, trials = simulate()
    costly = taking(trials, matrix=lambda n: 0.05 * n, stored=lambda n: 417.654 * n, operations=lambda n: 0.0083886)
    table = points_table(study, points(study, costly), frozenset())
    assert table.columns[7:] == ("members", "matrix MiB", "total MiB", "stored MiB", "training (s)")
    single = next(row for row in table.rows if row[7] == "1")
    assert single[8:11] == ("0.0500", "0.110", "417.65")
    assert table.numeric >= {7, 8, 9, 10}


def test_what_was_measured_is_shown_and_what_is_simulated_marked(simulate: Simulate) -> None:
    study, trials = simulate()
    measured = taking(trials, packed=lambda n: 0.12, latency=lambda n: 1.5 * n)
    table = points_table(study, points(study, measured), frozenset())
    assert table.columns[7:] == ("members", "total MiB", "packed MiB", "ms a sentence", "training (s)")
    single = next(row for row in table.rows if row[7] == "1")
    assert single[8:11] == ("0.110", "0.120", "1.50")
    # trials of two members come from a run before there was a packed model
    mixed = [new if new.metrics["members/count"] == 1 else old for new, old in zip(measured, trials, strict=True)]
    rows = points_table(study, points(study, mixed), frozenset()).rows
    assert {(row[7], row[9]) for row in rows} == {("1", "0.120"), ("2", SIMULATED), ("4", SIMULATED)}


def test_without_ensembles_there_is_no_column_of_members(simulate: Simulate) -> None:
    study, trials = simulate()
    single = [trial for trial in taking(trials, operations=lambda n: 1.5) if trial.metrics["members/count"] == 1]
    different = [evolve(trial, metrics={**trial.metrics, "cost/gigaflops": 0.1 * trial.number}) for trial in single]
    columns = points_table(study, points(study, different), frozenset()).columns
    assert columns[7:] == ("total MiB", "GFLOPs", "training (s)")
    assert "GFLOPs" not in points_table(study, points(study, single), frozenset()).columns


def test_further_validation_metrics_are_columns(simulate: Simulate) -> None:
    study, trials = simulate()
    more = [
        evolve(trial, metrics={**trial.metrics, "validation_mismatched/score": 70.0 + trial.number}) for trial in trials
    ]
    assert "validation_mismatched/score" in points_table(study, points(study, more), frozenset()).columns


def test_missing_and_failed_seeds_are_counted(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    table = points_table(study, points(study, [fail(trials[0]), *trials[2:]]), frozenset())
    assert "1 of 3, 1 failed" in {row[6] for row in table.rows}
    incomplete = points_table(study, points(study, [fail(trials[0])]), frozenset())
    assert incomplete.rows[0][5] == "0 of 3, 1 failed"
    assert incomplete.marked == frozenset()


def test_comparisons_have_a_table(simulate: Simulate) -> None:
    study, trials = simulate()
    table = comparisons_table(study, answer(study, study.questions[1], trials))
    assert table.columns[-2:] == ("members (s)", "ratio")
    assert [row[:2] for row in table.rows][1] == ("two-stage minus none", "better")
    assert table.rows[1][-1].startswith("2.3")
    steps_only = comparisons_table(study, answer(study, study.questions[2], trials))
    assert [row[0] for row in steps_only.rows] == ["1 → 2", "2 → 4"]
    assert "ratio" not in steps_only.columns


def test_differences_within_pairs_are_shown_next_to_their_number(simulate: Simulate) -> None:
    study, trials = simulate()
    table = comparisons_table(study, answer(study, study.questions[0], trials))
    pairs = table.columns.index("pairs")
    assert [(row[0], row[1], row[pairs]) for row in table.rows] == [
        (compared, size, results)
        for size in ("size 2", "size 4")
        for compared, results in (
            ("bagging minus single", "18, other size"),
            ("boosting minus single", "18, other size"),
            ("boosting minus bagging", "18"),
        )
    ]


def test_unpaired_comparisons_are_marked(simulate: Simulate) -> None:
    study, trials = simulate()
    answered = answer(study, Question(text="?", compare="members.size"), trials)
    loose = evolve(answered, comparisons=tuple(evolve(trial, paired=False) for trial in answered.comparisons))
    assert {row[-1] for row in comparisons_table(study, loose).rows} == {"not paired"}


def test_stages_and_failures_have_tables(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    best = pareto_front(by_size(points(study, trials)), maximize=True)
    assert front_table(study, best, "size (MiB)").rows[0][-1] == "0.110"
    of_steps = stage_scores_table(stage_scores(study, trials))
    assert of_steps.columns[:4] == ("stage", "kind", "with", "score")
    assert of_steps.columns[6:] == ("total MiB", "time (s)")
    assert costs_table(stage_costs(trials)).rows[0] == ("teacher", "3", "126", "27.3 s", "19 min 7 s")
    assert failures_table([*trials, fail(trials[0])]).rows == (
        (trials[0].name, "binary: the loss became NaN at step 7"),
    )


def test_optimism_is_select_minus_validation(simulate: Simulate) -> None:
    study, trials = simulate()
    assert selection_bias(points(study, trials)[0]) == pytest.approx([1.0, 1.0, 1.0])
    bare = [evolve(trial, metrics={"validation/score": 3.0}) for trial in trials]
    assert selection_bias(points(study, bare)[0]) == []


def test_scores_below_one_have_more_decimals(simulate: Simulate) -> None:
    study, trials = simulate()
    small = [evolve(trial, metrics={"validation/score": 0.8}) for trial in trials]
    assert (score_decimals(study, trials), score_decimals(study, small)) == (2, 4)


BASELINES = {"majority/validation_score": 50.0, "majority/validation_matthews": 0.0, "chance/validation_score": 49.5}
CONSTANT = {"variety/validation": 0.0, "variety/validation_labels": 50.0}


def _with(trials: Sequence[TrialRecord], **metrics: float) -> list[TrialRecord]:
    return [evolve(trial, metrics={**trial.metrics, **metrics}) for trial in trials]


def test_majority_and_teacher_are_in_every_table_of_scores(simulate: Simulate) -> None:
    study, trials = simulate()
    document = compose(study, _with(trials, **BASELINES))
    scored = [
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table) and {"validation/score", "score"} & set(block.columns)
    ]
    assert len(scored) >= 3
    for table in scored:
        majority, chance = table.rows[-2:]
        column = next(column for column, name in enumerate(table.columns) if name in ("validation/score", "score"))
        assert (majority[0], majority[column]) == ("majority", "50.00")
        assert (chance[0], chance[column]) == ("chance", "49.50")
    lines = summary_table(study, _with(trials, **BASELINES)).splitlines()
    assert [line.split()[0] for line in lines if "50.00" in line or "49.50" in line][-2:] == ["majority", "chance"]


def test_every_task_has_separate_baselines(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    study = evolve(study, axes={**study.axes, "task.name": ("cola", "rte")})
    results = [
        evolve(
            trial,
            parameters={**trial.parameters, "task.name": name},
            metrics={**trial.metrics, "majority/validation_score": score},
        )
        for name, score in (("cola", 0.0), ("rte", 52.7))
        for trial in trials
    ]
    assert [(trial.parameters, trial.score("validation/score")) for trial in baselines(study, results)] == [
        ({"task.name": "cola"}, 0.0),
        ({"task.name": "rte"}, 52.7),
    ]


def test_where_nothing_was_learned_there_is_no_best_point_and_no_answer(simulate: Simulate) -> None:
    study, trials = simulate()
    incomplete = _with(trials, **BASELINES, **CONSTANT)
    document = compose(study, incomplete)
    first = next(block for block in document.lead if isinstance(block, Note))
    assert first.text.startswith("Nothing was learned: every model gives the same answer")
    page = markdown(document)
    for phrase in ("Best of", "boosting is better", "the same mean score", "Score against size"):
        assert phrase not in page
        assert phrase not in summary_table(study, incomplete)
    assert page.count("Not answered: nothing was learned") == 2 * len(study.questions)


def test_points_that_learned_nothing_are_named_where_others_learned(simulate: Simulate) -> None:
    study, trials = simulate()
    study = evolve(study, questions=())  # whose plots take time
    some = [*_with(trials[:1], **CONSTANT), *trials[1:]]
    page = markdown(compose(study, some))
    assert "predicts the same for (nearly) every text: it learned nothing" in page
    assert "Best of" in page
