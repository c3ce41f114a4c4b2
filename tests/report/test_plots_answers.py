from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.interfaces.sampler import Objective
from bebertlab.report.answers import Trend, answer
from bebertlab.report.plots import Curve, curves
from bebertlab.report.plots_answers import COLUMNS, curve, forest, scatter
from bebertlab.report.statistics import Estimate, Interval

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_forest_names_what_it_shows(simulate: Simulate) -> None:
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


def test_forest_says_under_which_values_of_other_options(simulate: Simulate) -> None:
    study, trials = simulate()
    question = study.questions[0]
    six = _texts(forest(study, answer(study, question, trials), "forest"))
    assert {
        f"{pair}, size {size}" for pair in ("boosting minus single", "boosting minus bagging") for size in (2, 4)
    } <= (set(six))
    three = _texts(forest(study, answer(study, evolve(question, where={"members.size": [4]}), trials), "forest"))
    assert {"boosting minus single", "size 4"} <= set(three)


def test_many_comparisons_are_rows_best_first(simulate: Simulate) -> None:
    study, trials = simulate()
    found = answer(study, evolve(study.questions[0], where=None, by=None), trials)
    one = found.comparisons[0]
    moved = [
        evolve(one, at={}, value=f"v{place}", estimate=_moved(one.estimate, place)) for place in range(COLUMNS + 1)
    ]
    texts = _texts(forest(study, evolve(found, comparisons=tuple(moved)), "forest"))
    assert [text for text in texts if text.startswith("v")] == ["v4", "v3", "v2", "v1", "v0"]
    assert {"minus single", "difference of validation/score in points (right is better)"} <= set(texts)
    steps = evolve(found, question=evolve(found.question, baseline=None), comparisons=tuple(moved))
    assert "single → v0" in _texts(forest(study, steps, "forest"))


def test_rows_with_several_baselines_name_theirs(simulate: Simulate) -> None:
    study, trials = simulate()
    found = answer(study, study.questions[0], trials)
    pairs = (("twn", "bwn"), ("laq", "bwn"), ("lsq", "bwn"), ("laq", "twn"), ("lsq", "twn"), ("lsq", "laq"))
    made = tuple(evolve(found.comparisons[0], at={}, value=value, baseline=baseline) for value, baseline in pairs)
    texts = _texts(forest(study, evolve(found, comparisons=made), "forest"))
    assert {f"{value} minus {baseline}" for value, baseline in pairs} <= set(texts)
    assert not any(text.startswith("minus") for text in texts)


def test_a_row_says_whether_it_is_over_pairs_or_points(simulate: Simulate) -> None:
    study, trials = simulate()
    found = answer(study, study.questions[1], trials)
    loose = [evolve(one, paired=False, parts=()) for one in found.comparisons]
    assert "all points" in _texts(forest(study, evolve(found, comparisons=tuple(loose)), "forest"))
    mixed = (loose[0], *found.comparisons[1:])
    assert "all pairs or all points" in _texts(forest(study, evolve(found, comparisons=mixed), "forest"))


def _moved(estimate: Estimate, by: float) -> Estimate:
    old = estimate.interval
    return evolve(estimate, interval=evolve(old, mean=old.mean + by))


def test_forest_says_at_the_edge_that_an_interval_goes_on(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0, 1), spread=2.0)
    found = answer(study, study.questions[1], trials)
    plain = evolve(found, comparisons=tuple(evolve(one, parts=()) for one in found.comparisons))
    assert len(forest(study, found, "forest")) > len(forest(study, plain, "forest"))


def test_curve_has_a_line_for_each_value(simulate: Simulate) -> None:
    study, trials = simulate()
    lines = curves(study, trials, "members.size", "members.ensemble")
    texts = _texts(curve(study, lines, "size", "ensemble", "curve"))
    assert {"size", "ensemble", "single", "bagging", "boosting", "validation/score (%)", "1", "2", "4"} <= set(texts)
    (only,) = curves(study, trials, "members.size", "")
    assert "single" not in _texts(curve(study, [only], "size", "", "curve"))


def test_long_labels_of_a_curve_do_not_overlap(simulate: Simulate) -> None:
    study, _ = simulate()
    score = Interval(1.0, 0.5, 1.5, 3)
    rates = tuple(0.0001234 * 3.3**place for place in range(8))
    short, long = (
        curve(study, [Curve(label="", values=values, scores=(score,) * 8)], "rate", "", "curve")
        for values in (tuple(range(8)), rates)
    )
    assert "rotate(-35" in long
    assert "rotate(-35" not in short


def test_scatter_takes_powers_of_ten(simulate: Simulate) -> None:
    study, _ = simulate()
    wide = Trend(values=(1e-5, 1e-4, 1e-2), scores=(1.0, 2.0, 3.0), correlation=None)
    assert "lr" in _texts(scatter(study, wide, "lr", "scatter"))
    assert scatter(study, wide, "lr", "s") != scatter(study, evolve(wide, values=(1.0, 2.0, 3.0)), "lr", "s")
