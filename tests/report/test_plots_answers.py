from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.sampler import Objective
from bebertlab.report.answers import Trend, answer
from bebertlab.report.plots_answers import COLUMNS, ScoreLine, forest, scatter, score_lines, score_plot
from bebertlab.report.statistics import Estimate, Interval

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_forest_has_labels_and_a_title(simulate: Simulate) -> None:
    study, trials = simulate()
    texts = _texts(forest(study, answer(study, study.questions[1], trials), "forest"))
    assert {"prediction minus none", "two-stage minus none", "two-stage minus prediction"} <= set(texts)
    assert {"all pairs", "ensemble:", "boosting", "size:"} <= set(texts)
    assert "difference of validation/score in points (right is better)" in texts


def test_forest_of_steps_points_forward(simulate: Simulate) -> None:
    study, trials = simulate()
    texts = _texts(
        forest(
            evolve(study, objectives=(Objective(goal="minimize"),)), answer(study, study.questions[2], trials), "forest"
        )
    )
    assert {"1 → 2", "2 → 4"} <= set(texts)
    assert "difference of validation/score in points (left is better)" in texts


def test_forest_without_intervals(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0,))
    assert "all pairs" in _texts(forest(study, answer(study, study.questions[1], trials), "forest"))


def test_forest_names_the_values_of_other_options(simulate: Simulate) -> None:
    study, trials = simulate()
    question = study.questions[0]
    six = _texts(forest(study, answer(study, question, trials), "forest"))
    assert {
        f"{pair}, size {size}" for pair in ("boosting minus single", "boosting minus bagging") for size in (2, 4)
    } <= (set(six))
    three = _texts(forest(study, answer(study, evolve(question, where={"members.size": [4]}), trials), "forest"))
    assert {"boosting minus single", "size 4"} <= set(three)


def test_many_comparisons_are_sorted_by_estimate(simulate: Simulate) -> None:
    study, trials = simulate()
    result = answer(study, evolve(study.questions[0], where=None, by=None), trials)
    item = result.comparisons[0]
    moved = [
        evolve(item, at={}, value=f"v{index}", estimate=_moved(item.estimate, index)) for index in range(COLUMNS + 1)
    ]
    texts = _texts(forest(study, evolve(result, comparisons=tuple(moved)), "forest"))
    assert [text for text in texts if text.startswith("v")] == ["v4", "v3", "v2", "v1", "v0"]
    assert {"minus single", "difference of validation/score in points (right is better)"} <= set(texts)
    stepwise = evolve(result, question=evolve(result.question, baseline=None), comparisons=tuple(moved))
    assert "single → v0" in _texts(forest(study, stepwise, "forest"))


def test_rows_with_several_baselines_name_their_baseline(simulate: Simulate) -> None:
    study, trials = simulate()
    result = answer(study, study.questions[0], trials)
    pairs = (("twn", "bwn"), ("laq", "bwn"), ("lsq", "bwn"), ("laq", "twn"), ("lsq", "twn"), ("lsq", "laq"))
    moved = tuple(evolve(result.comparisons[0], at={}, value=value, baseline=baseline) for value, baseline in pairs)
    texts = _texts(forest(study, evolve(result, comparisons=moved), "forest"))
    assert {f"{value} minus {baseline}" for value, baseline in pairs} <= set(texts)
    assert not any(text.startswith("minus") for text in texts)


def test_a_row_names_pairs_or_points(simulate: Simulate) -> None:
    study, trials = simulate()
    result = answer(study, study.questions[1], trials)
    loose = [evolve(item, paired=False, subgroups=()) for item in result.comparisons]
    assert "all points" in _texts(forest(study, evolve(result, comparisons=tuple(loose)), "forest"))
    mixed = (loose[0], *result.comparisons[1:])
    assert "all pairs or all points" in _texts(forest(study, evolve(result, comparisons=mixed), "forest"))


def _moved(estimate: Estimate, by: float) -> Estimate:
    old = estimate.interval
    return evolve(estimate, interval=evolve(old, mean=old.mean + by))


def test_forest_marks_intervals_that_exceed_the_axis(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0, 1), spread=2.0)
    result = answer(study, study.questions[1], trials)
    plain = evolve(result, comparisons=tuple(evolve(item, subgroups=()) for item in result.comparisons))
    assert len(forest(study, result, "forest")) > len(forest(study, plain, "forest"))


def test_scores_have_a_line_for_each_value(simulate: Simulate) -> None:
    study, trials = simulate()
    lines = score_lines(study, trials, "members.size", "members.ensemble")
    texts = _texts(score_plot(study, lines, "size", "ensemble", "curve"))
    assert {"size", "ensemble", "single", "bagging", "boosting", "validation/score (%)", "1", "2", "4"} <= set(texts)
    (only,) = score_lines(study, trials, "members.size", "")
    assert "single" not in _texts(score_plot(study, [only], "size", "", "curve"))


def test_long_labels_of_scores_do_not_overlap(simulate: Simulate) -> None:
    study, _ = simulate()
    score = Interval(1.0, 0.5, 1.5, 3)
    rates = tuple(0.0001234 * 3.3**index for index in range(8))
    short, long = (
        score_plot(study, [ScoreLine(label="", values=values, scores=(score,) * 8)], "rate", "", "curve")
        for values in (tuple(range(8)), rates)
    )
    assert "rotate(-35" in long
    assert "rotate(-35" not in short


def test_scatter_has_powers_of_ten_as_ticks(simulate: Simulate) -> None:
    study, _ = simulate()
    wide = Trend(values=(1e-5, 1e-4, 1e-2), scores=(1.0, 2.0, 3.0), correlation=None)
    assert "lr" in _texts(scatter(study, wide, "lr", "scatter"))
    assert scatter(study, wide, "lr", "s") != scatter(study, evolve(wide, values=(1.0, 2.0, 3.0)), "lr", "s")


def test_a_line_is_the_mean_over_the_other_options(simulate: Simulate) -> None:
    study, trials = simulate()
    result = {item.label: item for item in score_lines(study, trials, "members.size", "members.ensemble")}
    assert result["single"].values == (1,)
    assert result["boosting"].values == (1, 2, 4)
    expected = [
        item.metrics["validation/score"]
        for item in trials
        if (item.parameters["members.ensemble"], item.parameters["members.size"]) == ("boosting", 4)
    ]
    assert result["boosting"].scores[2].mean == pytest.approx(sum(expected) / len(expected))
    assert result["boosting"].scores[2].count == 3


def test_without_a_second_option_there_is_one_line(simulate: Simulate) -> None:
    study, trials = simulate()
    (only,) = score_lines(study, trials, "members.size", "")
    assert only.values == (1, 2, 4)
