from __future__ import annotations

from bebertlab.study.space import excluded, grid_points, point_trials
from bebertlab.study.study import Axis, Study


def study(**axes: Axis) -> Study:
    return Study(
        name="s",
        recipe={},
        search={name.replace("_", "."): axis for name, axis in axes.items()},
        seeds=(5, 7),
        exclude=({"members.ensemble": "single", "members.size": [2, 4]},),
    )


def test_all_combinations_but_the_excluded_ones() -> None:
    points = grid_points(
        study(members_ensemble=Axis(choice=("single", "bagging")), members_size=Axis(choice=(1, 2, 4)))
    )
    assert [tuple(point.values()) for point in points] == [
        ("single", 1),
        ("bagging", 1),
        ("bagging", 2),
        ("bagging", 4),
    ]


def test_a_study_without_axes_is_one_point() -> None:
    alone = Study(name="s", recipe={})
    assert grid_points(alone) == ({},)
    assert [trial.name for trial in point_trials(alone, 0, {})] == ["t000 seed=0"]


def test_every_point_has_a_trial_for_every_seed() -> None:
    trials = point_trials(study(), 3, {"a.b": {"kind": "twn", "threshold": 0.7}})
    assert [(trial.number, trial.seed) for trial in trials] == [(6, 5), (7, 7)]
    assert trials[1].name == "t007 a.b=twn(threshold=0.7) seed=7"


def test_values_are_compared_as_yaml_writes_them() -> None:
    assert excluded({"a": True}, [{"a": True}])
    assert not excluded({"a": True}, [{"a": 1}])
    assert excluded({"a": {"kind": "x", "n": 1}}, [{"a": [{"n": 1, "kind": "x"}]}])
