from __future__ import annotations

from typing import Any

import pytest

from bebertlab.interfaces.sampler import Objective
from bebertlab.study.study import Study, show
from bebertlab_samplers.grid import GridSampler


def study(**fields: Any) -> Study:  # noqa: ANN401 - of a study
    defaults: dict[str, Any] = {"name": "s", "recipe": {}, "sampler": GridSampler()}
    return Study(**defaults | fields)


def test_the_default_objective_is_the_score() -> None:
    assert study().goals == (Objective(metric="validation/score", goal="maximize"),)
    lowest = Objective(metric="size/total_mebibytes", goal="minimize")
    assert study(objective=lowest).goals == (lowest,)


def test_the_first_of_several_objectives_is_the_primary_one() -> None:
    several = study(objectives={"validation/score": "max", "size/total_mebibytes": "min"})
    assert [(goal.metric, goal.maximize) for goal in several.goals] == [
        ("validation/score", True),
        ("size/total_mebibytes", False),
    ]
    assert several.space.objectives == several.goals


def test_one_form_of_objectives_is_required() -> None:
    with pytest.raises(ValueError, match="give one of objective and objectives"):
        study(objective=Objective(), objectives={"validation/score": "max"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": ()}, "name at least one seed"),
        ({"seeds": (1, 2, 1)}, "has a seed twice"),
        ({"name": "a/b"}, "must consist of letters"),
    ],
)
def test_seeds_are_distinct_and_a_name_is_a_valid_folder_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(**fields)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), ("a", "a"), (1e-5, "1e-05"), ([1, 2], "[1, 2]"), ({"kind": "x"}, "x"), ({"a": 1}, "(a=1)")],
)
def test_values_are_shown_in_a_few_characters(value: object, text: str) -> None:
    assert show(value) == text
