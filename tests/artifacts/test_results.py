from __future__ import annotations

import torch
from attrs import evolve
from safetensors.torch import save_file

from bebertlab.artifacts.metrics import read_metrics
from bebertlab.artifacts.results import RESULT_METRICS, result_metrics
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import GENERATED, Caveat, Task
from bebertlab.testing.stage_runner import StageRunner


def test_the_metrics_of_a_model(bench: StageRunner, task: Task, teacher: Artifact) -> None:
    metrics = result_metrics(teacher, bench.context(task))
    data = {name for name in metrics if name.startswith(("truncated/", "overlap/"))}
    assert set(metrics) - data == {
        *("select/score", "select/accuracy", "validation/score", "validation/accuracy"),
        *RESULT_METRICS,
        *(
            f"{who}/{split}_{name}"
            for who in ("majority", "chance")
            for split in ("select", "validation")
            for name in ("score", "accuracy")
        ),
        *("variety/validation", "variety/validation_labels"),
    }
    stored = read_metrics(teacher.folder)
    assert metrics["validation/score"] == stored["validation/score"] == metrics["validation/accuracy"]
    assert (metrics["members/count"], metrics["members/kept"]) == (1, 1)


def test_a_model_that_learned_nothing_is_warned_about(bench: StageRunner, task: Task) -> None:
    def evaluated(scores: torch.Tensor) -> list[str]:
        folder = bench.context(task).folder
        save_file({"select": scores, "validation": scores.clone()}, folder / "scores.safetensors")
        (folder / "metrics.json").write_text('{"size/matrix_mebibytes": 1.0}')
        bench.warnings.clear()
        result_metrics(Artifact(stage="m", key="k", folder=folder, seconds=0), bench.context(task))
        return list(bench.warnings)

    labels = torch.from_numpy(task.splits["validation"].labels)
    always = torch.zeros_like(labels)
    assert evaluated(torch.eye(2, dtype=torch.float64)[labels]) == []
    (same,) = evaluated(torch.eye(2, dtype=torch.float64)[always])
    assert same == "the model gives (nearly) the same answer to every text of validation: it learned nothing"
    (wrong,) = evaluated(torch.eye(2, dtype=torch.float64)[1 - labels])
    assert wrong.startswith("validation/score 0 is not shown to be better than always giving the most frequent answer")


def test_overlaps_and_caveats_of_the_data_are_counted_and_warned_about(bench: StageRunner, task: Task) -> None:
    select = task.splits["select"]
    leaking = evolve(select, texts=(*task.splits["train"].texts[:3], *select.texts[3:]))
    odd = Caveat(kind="odd", short="odd pairs", sentence="2 pairs are odd")
    other = evolve(task, splits={**task.splits, "select": leaking}, caveats=(GENERATED, odd))
    folder = bench.context(other).folder
    right = {name: torch.eye(2)[torch.from_numpy(other.splits[name].labels)] for name in ("select", "validation")}
    save_file(right, folder / "scores.safetensors")
    (folder / "metrics.json").write_text('{"truncated/select": 5, "truncated/select_percent": 15.6}')
    before = len(bench.warnings)
    source = Artifact(stage="m", key="k", folder=folder, seconds=0)
    metrics = result_metrics(source, bench.context(other))
    assert metrics["overlap/train_select_same"] == 3
    assert (metrics["truncated/select"], metrics["truncated/select_percent"]) == (5, 15.6)
    assert bench.warnings[before:] == ["2 pairs are odd", "select: 3 of 32 examples are also in train"]


def test_metrics_are_those_of_the_whole_split(bench: StageRunner, task: Task) -> None:
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
    metrics = result_metrics(Artifact(stage="m", key="k", folder=folder, seconds=0), bench.context(further))
    assert (metrics["select/score"], metrics["validation/score"], metrics["validation_mismatched/score"]) == (
        100,
        100,
        0,
    )
