from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.interfaces.events import Question
from bebertlab.report.cells import fixed_axes

if TYPE_CHECKING:
    from tests.report.conftest import Simulate

BOOST = Question(text="?", compare="members.ensemble", baseline="single")


def test_what_the_study_leaves_out_for_the_baseline_is_no_option_of_it(simulate: Simulate) -> None:
    study, _ = simulate()
    assert fixed_axes(study, BOOST) == {"members.size": 1}
    assert fixed_axes(study, evolve(BOOST, baseline="bagging")) == {}
    assert fixed_axes(study, evolve(BOOST, baseline=None)) == {}


@pytest.mark.parametrize(
    "exclude",
    [
        "[]",
        "[{members.ensemble: single, members.size: 4}]",  # two sizes are left
        "[{members.ensemble: single, members.size: [2, 4], members.distillation: none}]",  # with one distillation only
        "[{members.size: [2, 4]}]",
    ],
)
def test_one_value_by_chance_is_no_reason(simulate: Simulate, exclude: str) -> None:
    study, _ = simulate()
    assert fixed_axes(evolve(study, resolved=f"exclude: {exclude}\n"), BOOST) == {}


def test_an_option_of_another_stage_has_a_meaning_for_every_value(simulate: Simulate) -> None:
    study, _ = simulate()
    other = evolve(
        study,
        axes={"student.scheme.weights": ("bwn", "twn"), "teacher.train.epochs": (1, 2, 30)},
        resolved="exclude: [{student.scheme.weights: [bwn], teacher.train.epochs: [2, 30]}]\n",
    )
    assert fixed_axes(other, Question(text="?", compare="student.scheme.weights", baseline="bwn")) == {}
