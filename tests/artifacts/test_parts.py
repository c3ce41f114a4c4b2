from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from bebertlab.artifacts.parts import part_metrics
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import Task
from bebertlab.nn.folder import load_model
from bebertlab.stages.slice import SliceStage
from bebertlab.testing.bench import StageBench

Metrics = Callable[[Artifact], Mapping[str, float]]
NAMES = ("select/score", "validation/score", "size/total_mebibytes", "cost/gigaflops")


def test_parts_are_worth_what_their_slices_are(
    bench: StageBench, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    model = load_model(teacher.folder, bench.codec)
    phase = Phase(name="p", widths=(1.0, 0.5), depths=(1.0, 0.5))
    found = part_metrics(model, phase, teacher.folder, bench.context(task))
    assert len(found) == 4 * len(NAMES)
    for width, depth in phase.parts:
        stage = SliceStage(model="teacher", width=width, depth=depth)
        wanted = metrics(bench.run(stage, task, model=teacher))
        for name in NAMES:
            assert found[f"depth_{depth:g}/width_{width:g}/{name}"] == pytest.approx(wanted[name])


def test_the_depth_is_named_only_where_there_are_several(bench: StageBench, task: Task, teacher: Artifact) -> None:
    model = load_model(teacher.folder, bench.codec)
    found = part_metrics(model, Phase(name="p", widths=(0.5,)), teacher.folder, bench.context(task))
    assert found.keys() == {f"width_0.5/{name}" for name in NAMES}


def test_the_model_itself_is_no_part(bench: StageBench, task: Task, teacher: Artifact) -> None:
    model = load_model(teacher.folder, bench.codec)
    assert part_metrics(model, Phase(name="p"), teacher.folder, bench.context(task)) == {}
