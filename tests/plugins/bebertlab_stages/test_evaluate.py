from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from attrs import evolve

from bebertlab.artifacts.results import RESULT_METRICS, result_metrics
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Artifact, StageOptions
from bebertlab.interfaces.task import Task
from bebertlab.testing.stage_runner import StageRunner
from bebertlab_stages.evaluate import EvaluateStage
from bebertlab_stages.merge import MergeStage
from bebertlab_stages.pack import PackStage
from bebertlab_stages.training import FinetuneStage

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


def test_the_file_of_the_packed_model_is_measured(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    packed = bench.run(PackStage(of="teacher"), task, of=teacher)
    stage = EvaluateStage(of="teacher", packed="packed")
    written = metrics(bench.run(stage, task, of=teacher, packed=packed))
    size = (packed.folder / "packed" / "model.safetensors").stat().st_size
    assert written == {**result_metrics(teacher, bench.context(task)), "size/packed_mebibytes": size / 2**20}
    timed = metrics(bench.run(evolve(stage, measure="latency"), task, of=teacher, packed=packed))
    assert timed.keys() - written.keys() == {"cost/sentence_milliseconds"}
    assert timed["cost/sentence_milliseconds"] > 0


def test_a_stage_that_packs_stands_for_what_it_packed(bench: StageRunner, task: Task) -> None:
    pack = PackStage(of="teacher")
    prepared = EvaluateStage(of="packed", measure="latency").prepare({"of": (pack,)}, task, bench.codec)
    assert prepared == EvaluateStage(of="teacher", packed="packed", measure="latency")
    inputs = {"of": (FinetuneStage(),), "packed": (pack,)}
    assert prepared.prepare(inputs, task, bench.codec) == prepared


def test_what_can_be_compared_depends_on_what_is_measured() -> None:
    assert EvaluateStage(of="a").result_names() == RESULT_METRICS
    packed = EvaluateStage(of="a", packed="b")
    assert packed.result_names() == (*RESULT_METRICS, "size/packed_mebibytes")
    timed = evolve(packed, measure="latency")
    assert timed.result_names()[-2:] == ("size/packed_mebibytes", "cost/sentence_milliseconds")


@pytest.mark.parametrize(
    ("stage", "packed", "message"),
    [
        (EvaluateStage(of="a", measure="latency"), (), "measure: latency is of a packed model"),
        (
            EvaluateStage(of="a", packed="b"),
            (PackStage(of="c"),),
            "'b', expected a stage of kind 'pack' that packs 'a'",
        ),
        (EvaluateStage(of="a", packed="b"), (FinetuneStage(),), "'b', expected a stage of kind 'pack' that packs 'a'"),
    ],
)
def test_another_packed_model_than_that_of_the_result_is_refused(
    stage: EvaluateStage, packed: tuple[StageOptions, ...], message: str, bench: StageRunner, task: Task
) -> None:
    with pytest.raises(UserError, match=message):
        stage.prepare({"of": (FinetuneStage(),), "packed": packed}, task, bench.codec)
