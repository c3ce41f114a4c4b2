from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from attrs import evolve
from safetensors.torch import save_file

from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import Task
from bebertlab.stages.evaluate import EvaluateStage
from bebertlab.stages.merge import MergeStage
from bebertlab.testing.stage_runner import StageRunner

Metrics = Callable[[Artifact], Mapping[str, float]]


def test_a_model_is_evaluated(bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics) -> None:
    found = metrics(bench.run(EvaluateStage(of="teacher"), task, of=teacher))
    data = {name for name in found if name.startswith(("truncated/", "overlap/"))}
    assert set(found) - data == {
        *("select/score", "select/accuracy", "validation/score", "validation/accuracy"),
        *("members/count", "members/kept", "cost/gigaflops"),
        *("size/matrix_mebibytes", "size/total_mebibytes", "size/stored_mebibytes"),
        *(
            f"{who}/{split}_{name}"
            for who in ("majority", "chance")
            for split in ("select", "validation")
            for name in ("score", "accuracy")
        ),
        *("variety/validation", "variety/validation_labels"),
    }
    assert found["validation/score"] == metrics(teacher)["validation/score"] == found["validation/accuracy"]
    assert (found["members/count"], found["members/kept"]) == (1, 1)


def test_an_ensemble_is_evaluated_by_its_merged_scores(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    rule = bench.codec.load({"kind": "mean_probability"}, MergerOptions)  # type: ignore[type-abstract]
    other = evolve(teacher, key="another one")
    merged = bench.run(MergeStage(members="m", rule=rule), task, members=(teacher, other))
    found = metrics(bench.run(EvaluateStage(of="merge"), task, of=merged))
    assert found["validation/score"] == metrics(teacher)["validation/score"]
    assert found["members/count"] == 2
    single = metrics(bench.run(EvaluateStage(of="teacher"), task, of=teacher))
    taken = [name for name in found if name.startswith(("size/", "cost/"))]
    assert len(taken) == 4
    assert {name: found[name] for name in taken} == {name: 2 * single[name] for name in taken}


def test_what_members_share_counts_once(bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics) -> None:
    rule = bench.codec.load({"kind": "mean_probability"}, MergerOptions)  # type: ignore[type-abstract]
    merged = bench.run(MergeStage(members="m", rule=rule), task, members=(teacher, teacher))
    found = metrics(bench.run(EvaluateStage(of="merge"), task, of=merged))
    assert found["members/count"] == 2
    assert found["cost/gigaflops"] == metrics(teacher)["cost/gigaflops"]


def test_a_model_that_learned_nothing_is_said(bench: StageRunner, task: Task) -> None:
    def evaluated(scores: torch.Tensor) -> list[str]:
        folder = bench.context(task).folder
        save_file({"select": scores, "validation": scores.clone()}, folder / "scores.safetensors")
        (folder / "metrics.json").write_text('{"size/matrix_mebibytes": 1.0}')
        bench.warnings.clear()
        bench.run(EvaluateStage(of="m"), task, of=Artifact(stage="m", key="k", folder=folder, seconds=0))
        return list(bench.warnings)

    labels = torch.from_numpy(task.splits["validation"].labels)
    always = torch.zeros_like(labels)
    assert evaluated(torch.eye(2, dtype=torch.float64)[labels]) == []
    (same,) = evaluated(torch.eye(2, dtype=torch.float64)[always])
    assert same == "gives (nearly) the same answer to every text of validation"
    (wrong,) = evaluated(torch.eye(2, dtype=torch.float64)[1 - labels])
    assert wrong.startswith("validation/score 0 is not shown to be better than always giving the most frequent answer")


def test_what_is_wrong_with_the_data_is_counted_and_said(bench: StageRunner, task: Task, metrics: Metrics) -> None:
    select = task.splits["select"]
    leaking = evolve(select, texts=(*task.splits["train"].texts[:3], *select.texts[3:]))
    other = evolve(task, splits={**task.splits, "select": leaking}, caveats=("2 pairs are odd",))
    folder = bench.context(other).folder
    right = {name: torch.eye(2)[torch.from_numpy(other.splits[name].labels)] for name in ("select", "validation")}
    save_file(right, folder / "scores.safetensors")
    (folder / "metrics.json").write_text('{"truncated/select": 5, "truncated/select_percent": 15.6}')
    before = len(bench.warnings)
    source = Artifact(stage="m", key="k", folder=folder, seconds=0)
    found = metrics(bench.run(EvaluateStage(of="m"), other, of=source))
    assert found["overlap/train_select_same"] == 3
    assert (found["truncated/select"], found["truncated/select_percent"]) == (5, 15.6)
    assert bench.warnings[before:] == ["2 pairs are odd", "select: 3 of 32 examples are also in train"]


def test_metrics_are_those_of_the_whole_split(bench: StageRunner, task: Task, metrics: Metrics) -> None:
    """E11 of the published code: an average of batches is no correlation; E30: all validation splits count."""
    further = evolve(task, splits={**task.splits, "validation_mismatched": task.splits["train"]})
    folder = bench.context(further).folder
    scores = {}
    for name in ("select", "validation", "validation_mismatched"):
        labels = torch.from_numpy(further.splits[name].labels)
        labels = 1 - labels if name == "validation_mismatched" else labels
        scores[name] = torch.eye(2, dtype=torch.float64)[labels]
    save_file(scores, folder / "scores.safetensors")
    (folder / "metrics.json").write_text('{"size/matrix_mebibytes": 1.0, "size/total_mebibytes": 2.0}')
    found = metrics(
        bench.run(EvaluateStage(of="m"), further, of=Artifact(stage="m", key="k", folder=folder, seconds=0))
    )
    assert (found["select/score"], found["validation/score"], found["validation_mismatched/score"]) == (100, 100, 0)
