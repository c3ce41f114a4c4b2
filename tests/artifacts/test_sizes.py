from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.artifacts.sizes import MATRIX, TOTAL, read_size, size_metrics
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import Task
from bebertlab.nn.folder import load_model
from bebertlab.nn.size import model_size
from bebertlab.testing.bench import StageBench


def test_the_size_of_a_model_is_counted_where_its_stage_did_not(
    bench: StageBench, task: Task, teacher: Artifact, tmp_path: Path
) -> None:
    folder = shutil.copytree(teacher.folder, tmp_path / "silent")
    (folder / "metrics.json").write_text("{}")
    found = read_size(evolve(teacher, folder=folder), bench.context(task))
    model = load_model(teacher.folder, bench.codec)
    assert found == size_metrics(model_size(model)) == read_size(teacher, bench.context(task))
    elements = sum(parameter.numel() for parameter in model.parameters())
    assert found[TOTAL] == pytest.approx(elements * 4 / 2**20)
    assert 0 < found[MATRIX] < found[TOTAL]


def test_an_artifact_that_tells_its_size_is_believed(bench: StageBench, task: Task) -> None:
    context = bench.context(task)
    (context.folder / "metrics.json").write_text(json.dumps({MATRIX: 1.0, TOTAL: 2.0, "select/score": 3.0}))
    artifact = Artifact(stage="merge", key="k", folder=context.folder, seconds=0.0)
    assert read_size(artifact, context) == {MATRIX: 1.0, TOTAL: 2.0}
