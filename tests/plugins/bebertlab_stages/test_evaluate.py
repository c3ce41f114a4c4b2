from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve

from bebertlab.artifacts.results import RESULT_METRICS, result_metrics
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import Task
from bebertlab.testing.stage_runner import StageRunner
from bebertlab_stages.evaluate import EvaluateStage
from bebertlab_stages.merge import MergeStage

Metrics = Callable[[Artifact], Mapping[str, float]]


def test_the_result_of_a_model_is_written(bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics) -> None:
    written = metrics(bench.run(EvaluateStage(of="teacher"), task, of=teacher))
    assert written == result_metrics(teacher, bench.context(task))
    assert written["validation/score"] == metrics(teacher)["validation/score"]
    assert {*RESULT_METRICS, "select/score", "majority/validation_score", "variety/validation"} <= written.keys()


def test_an_ensemble_is_evaluated_by_its_merged_scores(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    rule = bench.codec.load({"kind": "mean_probability"}, MergerOptions)  # type: ignore[type-abstract]
    other = evolve(teacher, key="another one")
    merged = bench.run(MergeStage(members="m", rule=rule), task, members=(teacher, other))
    ensemble = metrics(bench.run(EvaluateStage(of="merge"), task, of=merged))
    assert ensemble["validation/score"] == metrics(teacher)["validation/score"]
    assert ensemble["members/count"] == 2
    single = metrics(bench.run(EvaluateStage(of="teacher"), task, of=teacher))
    taken = [name for name in ensemble if name.startswith(("size/", "cost/"))]
    assert len(taken) == 4
    assert {name: ensemble[name] for name in taken} == {name: 2 * single[name] for name in taken}


def test_stages_shared_by_members_are_counted_once(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    rule = bench.codec.load({"kind": "mean_probability"}, MergerOptions)  # type: ignore[type-abstract]
    merged = bench.run(MergeStage(members="m", rule=rule), task, members=(teacher, teacher), prepare=False)
    ensemble = metrics(bench.run(EvaluateStage(of="merge"), task, of=merged))
    assert ensemble["members/count"] == 2
    assert ensemble["cost/gigaflops"] == metrics(teacher)["cost/gigaflops"]
