from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.report.pairs import pair_up

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

BITS, DISTILLATION, ENSEMBLE, SIZE = (
    "ternary.scheme.activation_bits",
    "members.distillation",
    "members.ensemble",
    "members.size",
)


def _without(trials: tuple[TrialRecord, ...], seed: int, **wanted: object) -> list[TrialRecord]:
    names = {"ensemble": ENSEMBLE, "size": SIZE, "distillation": DISTILLATION, "bits": BITS}
    return [
        trial
        for trial in trials
        if trial.seed != seed or any(trial.parameters[names[name]] != value for name, value in wanted.items())
    ]


def test_a_single_model_is_compared_with_every_size(simulate: Simulate) -> None:
    study, trials = simulate()
    found = pair_up(study, trials, ENSEMBLE, "boosting", "single", across=[SIZE])
    assert len(found.pairs) == 2 * 3 * 3 * 3  # bits, distillations, sizes, seeds
    for pair in found.pairs:
        assert pair.ours.seed == pair.theirs.seed == pair.seed
        assert pair.theirs.parameters[SIZE] == 1
        assert all(pair.ours.parameters[axis] == pair.theirs.parameters[axis] for axis in (BITS, DISTILLATION))
        assert pair.difference == pair.ours.metrics["validation/score"] - pair.theirs.metrics["validation/score"]


def test_partners_have_the_same_other_options(simulate: Simulate) -> None:
    study, trials = simulate()
    found = pair_up(study, trials, ENSEMBLE, "boosting", "single")
    assert len(found.pairs) == 2 * 3 * 3  # bits, distillations, seeds; size 1 only
    assert {pair.ours.parameters[SIZE] for pair in found.pairs} == {1}
    assert (found.left_out, found.across) == (36, ())
    larger = [one for one in trials if one.parameters[ENSEMBLE] == "single" or one.parameters[SIZE] > 1]
    assert not pair_up(study, larger, ENSEMBLE, "boosting", "single").pairs


def test_what_partners_differ_in_is_told(simulate: Simulate) -> None:
    study, trials = simulate()
    assert pair_up(study, trials, ENSEMBLE, "boosting", "single", across=[SIZE]).across == (SIZE,)
    small = [one for one in trials if one.parameters[SIZE] == 1]
    assert pair_up(study, small, ENSEMBLE, "boosting", "single", across=[SIZE]).across == ()


def test_an_option_in_which_the_baseline_varies_is_matched(simulate: Simulate) -> None:
    study, trials = simulate()
    found = pair_up(study, trials, SIZE, 2, 1)
    assert len(found.pairs) == 2 * 3 * 2 * 3  # the single model has no second member
    assert all(pair.ours.parameters[ENSEMBLE] == pair.theirs.parameters[ENSEMBLE] for pair in found.pairs)


def test_pairs_of_a_seed_are_averaged_first(simulate: Simulate) -> None:
    study, trials = simulate()
    found = pair_up(study, trials, ENSEMBLE, "boosting", "single", across=[SIZE])
    of_seed = [pair.difference for pair in found.pairs if pair.seed == 1]
    assert found.differences()[1] == pytest.approx(sum(of_seed) / len(of_seed))
    assert len(found.differences()) == 3


def test_a_missing_cell_is_left_out_for_every_seed(simulate: Simulate) -> None:
    study, trials = simulate()
    fewer = _without(trials, 1, ensemble="boosting", size=4, distillation="none", bits=8)
    found = pair_up(study, fewer, ENSEMBLE, "boosting", "single", across=[SIZE])
    assert len(found.pairs) == 17 * 3
    assert found.left_out == 2


def test_a_seed_that_has_hardly_begun_is_left_out(simulate: Simulate) -> None:
    study, trials = simulate(seeds=(0, 1, 2, 3))
    begun = [trial for trial in trials if trial.seed != 3 or trial.number < 12]
    found = pair_up(study, begun, DISTILLATION, "prediction", "none")
    assert found.seeds() == (0, 1, 2)


def test_failed_partners_make_no_pair(simulate: Simulate) -> None:
    study, trials = simulate()
    broken = [
        evolve(trial, state=TrialState.FAILED, metrics={}) if trial.parameters[ENSEMBLE] == "single" else trial
        for trial in trials
    ]
    found = pair_up(study, broken, ENSEMBLE, "boosting", "single", across=[SIZE])
    assert (found.pairs, found.left_out) == ((), 54)


def test_a_part_has_one_value_on_another_axis(simulate: Simulate) -> None:
    study, trials = simulate()
    part = pair_up(study, trials, ENSEMBLE, "boosting", "single", across=[SIZE]).where(SIZE, 4)
    assert len(part.pairs) == 18
    assert {pair.ours.parameters[SIZE] for pair in part.pairs} == {4}
