from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.report.text import WIDTH, summary_table

if TYPE_CHECKING:
    from tests.report.conftest import Simulate


def test_table_answers_and_failures(simulate: Simulate, fail: Callable[[TrialRecord], TrialRecord]) -> None:
    study, trials = simulate()
    text = summary_table(study, [fail(trials[0]), *trials[1:]])
    lines = text.splitlines()
    assert lines[0] == "ensemble_ablation@3f2c9a71: 125 of 126 trials complete, 1 failed"
    assert "says nothing about real language" in lines[1]
    assert lines[3].split()[:3] == ["#", "activation_bits", "distillation"]
    assert "  At size 2: boosting beats single by 3." in text
    assert "the loss became NaN at step 7" in text
    assert text.endswith("\n")


@pytest.mark.parametrize("long", ["members.ensemble", "members.distillation"])
def test_lines_fit(simulate: Simulate, long: str) -> None:
    study, trials = simulate()
    wordy = {"kind": "boosting", "temperature": 2.0, "weights": [0.25] * 40}
    wide = [evolve(one, parameters={**one.parameters, long: wordy}, name="t" * 300) for one in trials]
    failed = evolve(wide[0], state=TrialState.FAILED, error="because " * 60)
    text = summary_table(evolve(study, axes={**study.axes, long: (wordy,)}), [failed, *wide[1:]])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" in text


def test_what_does_not_fit_is_left_to_the_report(simulate: Simulate) -> None:
    study, trials = simulate()
    more = [
        evolve(one, metrics={**one.metrics, "validation/f1": 50.0 + one.number, "validation_mismatched/f1": one.number})
        for one in trials
    ]
    assert "validation/f1" not in summary_table(study, more)
    assert "validation/f1" in summary_table(evolve(study, axes={"members.size": (1, 2, 4)}), more)


def test_a_study_that_has_not_begun(simulate: Simulate) -> None:
    study, _ = simulate()
    text = summary_table(evolve(study, planned=126), [])
    assert "0 of 126 trials complete, 126 unfinished" in text
    assert "Not answered: members.ensemble was not searched in this run." in text


def test_costs_are_left_to_the_report_before_a_value_is_cut(simulate: Simulate) -> None:
    study, trials = simulate()
    costs = ("size/matrix_mebibytes", "size/stored_mebibytes", "cost/gigaflops", "validation/f1")
    costly = [evolve(one, metrics={**one.metrics, **{name: 3.0 + one.number for name in costs}}) for one in trials]
    head = summary_table(study, costly).splitlines()[3]
    assert ("validation/f1" in head, "stored MiB" in head) == (False, False)
    assert ("total MiB" in head, "GFLOPs" in head) == (True, True)
    narrow = evolve(study, axes={"members.size": (1, 2, 4)})
    whole = summary_table(narrow, costly).splitlines()[3]
    assert all(name in whole for name in ("validation/f1", "matrix MiB", "total MiB", "stored MiB", "GFLOPs"))
    wide = [evolve(one, parameters={**one.parameters, "members.distillation": "d" * 30}) for one in costly]
    head = summary_table(evolve(study, axes={**study.axes, "members.distillation": ("d" * 30,)}), wide).splitlines()[3]
    assert not any(name in head for name in ("matrix MiB", "stored MiB", "GFLOPs"))
    assert "total MiB" in head
