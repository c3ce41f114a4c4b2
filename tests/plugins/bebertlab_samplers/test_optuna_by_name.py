from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from bebertlab.api import Objective, SearchDimension, SearchSpace, SearchTrial, SetupError
from bebertlab.testing import check_sampler
from bebertlab_samplers.optuna_by_name import OptunaSampler


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("TPESampler", {"multivariate": True, "n_startup_trials": 4}),
        ("NSGAIIISampler", {"population_size": 4}),
        ("RandomSampler", {}),
    ],
)
def test_samplers_of_optuna_keep_the_sampler_contract(name: str, options: dict[str, Any]) -> None:
    check_sampler(OptunaSampler(trials=12, name=name, options=options))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "TPESamper"}, "no sampler 'TPESamper' that a study can name; did you mean 'TPESampler'"),
        ({"name": "BaseSampler"}, "no sampler 'BaseSampler'"),
        ({"name": "PartialFixedSampler"}, "no sampler 'PartialFixedSampler'"),
        ({"name": "QMCSampler"}, r"kind of its own here: sampler: \{kind: qmc\}"),
        ({"options": {"popsiz": 4}}, "CmaEsSampler has no option 'popsiz'; did you mean 'popsize'"),
        ({"options": {"popsize": 4.5}}, r"popsize of CmaEsSampler is 4.5; expected int \| None"),
        ({"options": {"seed": 4}}, "has seed; give sampler.seed instead"),
        ({"name": "TPESampler", "options": {"gamma": 4}}, "TPESampler has no option 'gamma'"),
    ],
)
def test_names_and_options_are_checked_against_optuna(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptunaSampler(**{"trials": 8, "name": "CmaEsSampler", **given})


def test_what_a_class_can_do_depends_on_its_name() -> None:
    evolution, tree = OptunaSampler(trials=8, name="CmaEsSampler"), OptunaSampler(trials=8, name="TPESampler")
    assert (evolution.multi_objective, evolution.uses_constraints) == (False, False)
    assert (tree.multi_objective, tree.uses_constraints) == (True, True)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    space = SearchSpace(dimensions={}, objectives=(Objective(),))
    with pytest.raises(SetupError, match="CmaEsSampler needs the package cmaes: pip install cmaes"):
        OptunaSampler(trials=8, name="CmaEsSampler").build(space)


def test_cma_es_approaches_the_best_point() -> None:
    pytest.importorskip("cmaes")
    options = OptunaSampler(trials=40, name="CmaEsSampler", options={"popsize": 4})
    space = SearchSpace(dimensions={name: SearchDimension(uniform=(0.0, 1.0)) for name in "xy"})
    sampler = options.build(space)
    trials: list[SearchTrial] = []
    for first in range(0, options.trials, options.batch):
        batch: list[SearchTrial] = []
        for index in range(first, first + options.batch):
            batch.append(SearchTrial(point=sampler.ask(index, 0, [*trials, *batch]), pending=True))
        trials += [
            SearchTrial(point=trial.point, values=(-abs(trial.point["x"] - 0.9) - abs(trial.point["y"] - 0.1),))
            for trial in batch
        ]
    assert sum(abs(trial.point["x"] - 0.9) for trial in trials[-8:]) / 8 < 0.15
    again = options.build(space).ask(options.trials, 0, trials)
    assert again == sampler.ask(options.trials, 0, trials)
