"""Studies with several objectives, as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError

if TYPE_CHECKING:
    from tests.study.conftest import Files

SEVERAL = "objectives={validation/score: max, number: min}"
ONE_OBJECTIVE = """

from bebertlab.api import SamplerOptions


@frozen(kw_only=True)
class OneObjective(SamplerOptions):
    kind = "one-objective"

    def build(self, space):
        raise NotImplementedError


@hookimpl
def bebertlab_samplers():
    return [OneObjective]
"""


def errors(files: Files, *sets: str) -> list[str]:
    with pytest.raises(UserError) as raised:
        files.read(*sets)
    return str(raised.value).splitlines()


def test_several_objectives_replace_the_single_one(files: Files) -> None:
    study = files.read(SEVERAL).study
    assert study.objective is None
    assert [(goal.metric, goal.maximize) for goal in study.goals] == [("validation/score", True), ("number", False)]
    (line,) = errors(files, SEVERAL, "objective.metric=number")
    assert line.endswith("objectives: objective is given as well; give one of objective and objectives")
    (line,) = errors(files, "objectives={validation/score: maximum}")
    assert line.endswith("objectives.validation/score: unknown value 'maximum'; did you mean 'max'? (known: max, min)")


def test_a_sampler_of_one_objective_is_refused_for_several(files: Files) -> None:
    plugin = files.folder / "parts.py"
    plugin.write_text(plugin.read_text() + ONE_OBJECTIVE)
    sets = ("search.score.rate={uniform: [0.1, 1]}", "sampler={kind: one-objective, trials: 3}")
    assert files.read(*sets).study.sampler.kind == "one-objective"
    (line,) = errors(files, *sets, SEVERAL)
    assert line.endswith("sampler: the sampler one-objective takes one objective, and objectives has 2")


def test_objectives_name_at_least_one_metric(files: Files) -> None:
    (line,) = errors(files, "objectives={}")
    assert line.endswith(
        "objectives: names no metric; e.g. objectives: {validation/score: max, cost/seconds: min}, or leave it out"
    )
