from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from bebertlab.api import Objective, SamplerOptions, SearchDimension, SearchSpace, SearchTrial
from bebertlab.testing import check_sampler
from bebertlab_samplers.optuna_samplers import GpSampler, NsgaSampler, RandomSampler, TpeSampler

AXES = {
    "a.kind": SearchDimension(choice=("x", "y", {"kind": "twn", "threshold": 0.7}, True, 1)),
    "b": SearchDimension(uniform=(0.0, 1.0)),
    "c": SearchDimension(loguniform=(1e-5, 1e-2)),
    "d": SearchDimension(integer=(1, 12)),
}
#: what Optuna 5.0 draws with sampler seed 0 at random, and with sampler seed 7 by TPE from the scores of `score`
RANDOM = (
    (1, 0.8557734871661298, 0.00025706655337374686, 8),
    (True, 0.9190894731222905, 0.0013208717788820558, 5),
    (True, 0.2048023284683269, 0.0018559046306014398, 7),
    (True, 0.4274114760377309, 0.001721501812528176, 10),
)
TPE = (
    ("y", 0.9414987100159597, 0.00454324511260856, 2),
    ("y", 0.10716176601156058, 0.0002255192326643279, 9),
    (1, 0.9913863730431104, 0.0006581770828029973, 9),
    ({"kind": "twn", "threshold": 0.7}, 0.31966268388505126, 2.0748845011332942e-05, 11),
    ({"kind": "twn", "threshold": 0.7}, 0.631381259514672, 1.368956028223691e-05, 2),
    ("x", 0.1632534292278891, 0.0006534541519154003, 12),
    ({"kind": "twn", "threshold": 0.7}, 0.16660946192340298, 1.315478960281179e-05, 10),
    ("y", 0.889199272099647, 4.1718776646222996e-05, 4),
    (1, 0.4067133598767342, 1.8573071626840055e-05, 2),
    ({"kind": "twn", "threshold": 0.7}, 0.5008506240194945, 2.246295706004552e-05, 3),
    ("y", 0.7407484259917649, 1.0915283701215569e-05, 5),
    ("y", 0.8845834347866607, 4.4266626246145645e-05, 4),
    ("y", 0.9011938833528513, 5.864168086432405e-05, 8),
    ("y", 0.5907729300316896, 0.00023859327800361532, 6),
    ("y", 0.7744072121534313, 5.3511484975563624e-05, 1),
    ("y", 0.9199061081031586, 0.0003350331814927663, 4),
    ("y", 0.8329360096977113, 5.919544245138487e-05, 9),
    ("y", 0.9484707018240701, 0.0004283454950515826, 6),
)


def score(point: Any, seed: int) -> float:  # noqa: ANN401 - a point
    return float(
        point["b"] * 10 - abs(point["d"] - 6) + (3 if point["a.kind"] == "y" else 0) + seed * 0.1 - point["c"] * 100
    )


def is_excluded(point: Any) -> bool:  # noqa: ANN401 - a point
    return bool(point["a.kind"] == "x" and point["d"] <= 6)


def draw(sampler: SamplerOptions, seeds: tuple[int, ...]) -> list[tuple[object, ...]]:
    """Draw all points in batches, as a study does."""
    asked = sampler.build(SearchSpace(dimensions=AXES))
    finished: list[SearchTrial] = []
    while len(finished) < sampler.trials * len(seeds):
        first = len(finished) // len(seeds)
        batch: list[SearchTrial] = []
        for index in range(first, min(first + sampler.batch, sampler.trials)):
            proposals = (asked.ask(index, attempt, [*finished, *batch]) for attempt in range(20))
            point = next(point for point in proposals if not is_excluded(point))
            batch += [SearchTrial(point=point, pending=True) for _ in seeds]
        finished += [
            SearchTrial(point=trial.point, values=(score(trial.point, seeds[position % len(seeds)]),))
            for position, trial in enumerate(batch)
        ]
    return [tuple(trial.point.values()) for trial in finished[:: len(seeds)]]


@pytest.mark.parametrize(
    "sampler",
    [
        RandomSampler(trials=8),
        TpeSampler(trials=8, startup=2),
        NsgaSampler(trials=8, population=4),
        GpSampler(trials=8, startup=11),
    ],
)
def test_samplers_keep_the_sampler_contract(sampler: SamplerOptions) -> None:
    check_sampler(sampler)


def test_points_equal_those_of_earlier_versions() -> None:
    assert draw(TpeSampler(trials=18, seed=7), (0, 1)) == list(TPE)
    assert draw(RandomSampler(trials=4), (0,)) == list(RANDOM)


def choose(options: SamplerOptions, value: Callable[[float], float], seeds: int) -> list[float]:
    """What is drawn for one number where every point has a trial for each seed."""
    asked = options.build(SearchSpace(dimensions={"b": SearchDimension(uniform=(0.0, 1.0))}))
    trials: list[SearchTrial] = []
    for index in range(options.trials):
        point = asked.ask(index, 0, trials)
        trials += [SearchTrial(point=point, values=(value(point["b"]),))] * seeds
    return [trial.point["b"] for trial in trials[::seeds]]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("startup", [1, 6])
def test_tpe_uses_results_after_its_startup_points(startup: int, seeds: int) -> None:
    sampler = TpeSampler(trials=14, startup=startup)
    up = choose(sampler, lambda value: value, seeds)
    down = choose(sampler, lambda value: -value, seeds)
    assert up[:startup] == down[:startup]
    assert sum(up[startup:]) > sum(down[startup:])


@pytest.mark.parametrize(
    "sampler", [TpeSampler(trials=16, seed=3), NsgaSampler(trials=16, population=4), RandomSampler(trials=16)]
)
def test_more_trials_continue_the_same_points(sampler: SamplerOptions) -> None:
    assert draw(sampler, (0, 1))[:10] == draw(attrs.evolve(sampler, trials=10), (0, 1))


def evolved(value: Callable[[float], float], *, fresh: bool) -> list[float]:
    """Points of NSGA-II in batches; `fresh` makes a new sampler for each, as after a restart."""
    options = NsgaSampler(trials=40, population=8)
    space = SearchSpace(dimensions={"b": SearchDimension(uniform=(0.0, 1.0)), "c": SearchDimension(integer=(0, 9))})
    sampler = options.build(space)
    trials: list[SearchTrial] = []
    for first in range(0, options.trials, options.batch):
        batch: list[SearchTrial] = []
        for index in range(first, first + options.batch):
            sampler = options.build(space) if fresh else sampler
            batch.append(SearchTrial(point=sampler.ask(index, 0, [*trials, *batch]), pending=True))
        trials += [SearchTrial(point=trial.point, values=(value(trial.point["b"]),)) for trial in batch]
    return [float(trial.point["b"]) for trial in trials]


def test_nsga2_selects_the_best_of_each_generation() -> None:
    up, down = evolved(lambda value: value, fresh=False), evolved(lambda value: -value, fresh=False)
    assert up[:8] == down[:8]
    assert sum(up[24:]) / 16 > 0.65
    assert sum(down[24:]) / 16 < 0.35


def test_nsga2_proposes_the_same_after_every_restart() -> None:
    assert evolved(lambda value: value, fresh=True) == evolved(lambda value: value, fresh=False)


def test_gp_uses_results_and_spreads_a_batch() -> None:
    options = GpSampler(trials=12, startup=4)
    space = SearchSpace(dimensions={"b": SearchDimension(uniform=(0.0, 1.0))})
    trials = [SearchTrial(point={"b": b}, values=(-((b - 0.6) ** 2),)) for b in (0.05, 0.3, 0.5, 0.95)]
    first = options.build(space).ask(4, 0, trials)
    assert abs(first["b"] - 0.6) < 0.15
    second = options.build(space).ask(5, 0, [*trials, SearchTrial(point=first, pending=True)])
    assert abs(second["b"] - first["b"]) > 1e-4


def small(sampler: SamplerOptions, limit: float) -> int:
    """How many of the last 16 points are at most 0.4 where high ones are better, but those above the limit break it."""
    dimensions = {name: SearchDimension(uniform=(0.0, 1.0)) for name in "abc"}
    asked = sampler.build(SearchSpace(dimensions=dimensions))
    trials: list[SearchTrial] = []
    for index in range(40):
        point = asked.ask(index, 0, trials)
        trials.append(SearchTrial(point=point, values=(point["b"],), excesses=(point["b"] - limit,)))
    return sum(trial.point["b"] <= 0.4 for trial in trials[24:])


@pytest.mark.parametrize("sampler", [TpeSampler(trials=40, startup=4), NsgaSampler(trials=40, population=8)])
def test_points_that_break_a_constraint_are_avoided(sampler: SamplerOptions) -> None:
    assert small(sampler, limit=0.4) > small(sampler, limit=1.0) + 4


def test_random_ignores_results() -> None:
    sampler = RandomSampler(trials=8)
    assert choose(sampler, lambda value: value, 1) == choose(sampler, lambda value: -value, 1)


def test_failed_trials_do_not_count_and_pending_ones_do() -> None:
    space = SearchSpace(dimensions={"b": SearchDimension(uniform=(0.0, 1.0))})
    trials = [SearchTrial(point={"b": value / 10}, values=(value / 10,)) for value in range(10)]
    sampler = TpeSampler(trials=20, startup=1)
    before = sampler.build(space).ask(10, 0, trials)
    assert sampler.build(space).ask(10, 0, [*trials, SearchTrial(point={"b": 0.9})]) == before
    assert sampler.build(space).ask(10, 0, [*trials, SearchTrial(point=before, pending=True)]) != before


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_tpe_approaches_the_front_of_two_objectives(goal: Any) -> None:  # noqa: ANN401 - a literal
    space = SearchSpace(
        dimensions={name: SearchDimension(uniform=(0.0, 1.0)) for name in ("x", "y")},
        objectives=(Objective(metric="score"), Objective(metric="size", goal=goal)),
    )
    sampler = TpeSampler(trials=30, startup=8)
    asked = sampler.build(space)
    trials: list[SearchTrial] = []
    for index in range(sampler.trials):
        point = asked.ask(index, 0, trials)
        trials.append(SearchTrial(point=point, values=(point["x"], point["y"])))
    late = [trial.point for trial in trials[15:]]
    assert sum(point["x"] for point in late) / 15 > 0.6
    mean = sum(point["y"] for point in late) / 15
    assert mean > 0.6 if goal == "maximize" else mean < 0.4


@pytest.mark.parametrize(
    ("options", "remark"),
    [
        (
            {"trials": 8},
            "first 10 points at random, and trials is 8: this is a random search; set sampler.startup below trials",
        ),
        ({"trials": 1, "startup": 1, "batch": 1}, "first 1 point at random, and trials is 1: .*; raise trials"),
        ({"trials": 4, "startup": 2}, "first 4 points at random, .*; set sampler.batch below trials"),
    ],
)
def test_tpe_warns_that_without_results_it_is_random_search(options: dict[str, int], remark: str) -> None:
    (actual,) = TpeSampler(**options).remarks()
    assert re.fullmatch(f"sampler tpe draws its {remark}", actual)


def test_other_samplers_warn_with_the_name_of_their_option() -> None:
    (remark,) = NsgaSampler(trials=20).remarks()
    assert remark.endswith("trials is 20: this is a random search; set sampler.population below trials")
    assert GpSampler(trials=8).remarks()


def test_no_warning_where_results_are_used() -> None:
    assert not TpeSampler(trials=11).remarks()
    assert not NsgaSampler(trials=21).remarks()
    assert not RandomSampler(trials=2).remarks()
