from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import evolve

from bebertlab.report.plots import canvas
from bebertlab.report.plots_points import _front_labels, against_cost, ranked
from bebertlab.report.points import by_seconds, pareto_front, points

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_ranked_has_a_row_for_each_point(simulate: Simulate) -> None:
    study, trials = simulate()
    texts = _texts(ranked(study, points(study, trials), "points"))
    assert [text for text in texts if text.startswith("#")] == [f"#{index}" for index in range(1, 43)]
    assert {"activation_bits", "distillation", "ensemble", "size", "validation/score (%)"} <= set(texts)


def test_front_points_carry_their_rank_without_overlap(simulate: Simulate) -> None:
    study, trials = simulate()
    placed = by_seconds(points(study, trials))
    best = pareto_front(placed, maximize=True)
    drawn = against_cost(study, placed, best, "training (s)", "pareto")
    ranks = [text for text in _texts(drawn) if text.startswith("#")]
    assert sorted(ranks) == sorted(f"#{item.point.number}" for item in best)
    assert {"training (s)", "ensemble", "boosting"} <= set(_texts(drawn))


def test_ranks_do_not_overlap_markers(simulate: Simulate) -> None:
    study, trials = simulate()
    first, neighbor, above, *_ = by_seconds(points(study, trials))
    placed = [
        evolve(item, cost=cost, score=evolve(item.score, mean=mean))
        for item, cost, mean in ((first, 5.0, 5.0), (neighbor, 5.4, 5.4), (above, 4.6, 5.4))
    ]
    with canvas(6.6, 3.9) as (figure, (axis,)):
        axis.set(xlim=(0, 10), ylim=(0, 10))
        _front_labels(figure, axis, placed, placed[:1])
        (text,) = axis.texts
        box = text.get_window_extent(figure._get_renderer())
        centres = [axis.transData.transform((item.cost, item.score.mean)) for item in placed]
    assert not any(box.contains(*centre) for centre in centres)


def test_costs_of_different_magnitude_have_a_logarithmic_scale(simulate: Simulate) -> None:
    study, trials = simulate()
    placed = by_seconds(points(study, trials))
    far = tuple(evolve(item, cost=10.0 ** -(item.point.number % 4)) for item in placed)
    near = tuple(evolve(item, cost=10.0 + item.point.number) for item in placed)
    assert {"0.001", "0.01", "0.1", "1"} <= set(
        _texts(against_cost(study, far, pareto_front(far, maximize=True), "GFLOPs", "pareto"))
    )
    assert "40" in _texts(against_cost(study, near, pareto_front(near, maximize=True), "MiB", "pareto"))


def test_a_study_without_axes_has_no_ranked_labels(simulate: Simulate) -> None:
    study, trials = simulate()
    bare = evolve(study, axes={}, questions=())
    result = points(bare, [evolve(item, parameters={}) for item in trials[:3]])
    assert "#1" in _texts(ranked(bare, result, "points"))
    placed = by_seconds(result)
    assert "#1" in _texts(against_cost(bare, placed, placed, "training (s)", "pareto"))
