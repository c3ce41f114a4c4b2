from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.stage import Artifact, Codec, PlannedModel, Planning
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab_stages.slice import SliceStage


def test_half_the_heads_and_neurons_are_kept(
    bench: StageRunner,
    task: Task,
    teacher: Artifact,
    metrics: Callable[[Artifact], Mapping[str, float]],
) -> None:
    half = bench.run(SliceStage(model="teacher", width=0.5), task, model=teacher)
    sizes = load_model(half.folder, bench.codec).architecture
    assert (sizes.heads, sizes.head_size, sizes.ffn, sizes.hidden) == (1, 8, 16, 16)
    assert metrics(half).keys() == {
        *(f"{split}/{name}" for split in ("select", "validation") for name in ("score", "accuracy")),
        *("size/matrix_mebibytes", "size/total_mebibytes", "size/stored_mebibytes", "cost/gigaflops"),
        *(f"truncated/{split}{unit}" for split in ("select", "validation") for unit in ("", "_percent")),
    }
    assert (half.folder / "tokenizer.json").is_file()


def test_the_whole_width_is_the_same_model(bench: StageRunner, task: Task, teacher: Artifact) -> None:
    whole = bench.run(SliceStage(model="teacher", width=1.0), task, model=teacher)
    for name in ("model.safetensors", "logits.safetensors"):
        assert (whole.folder / name).read_bytes() == (teacher.folder / name).read_bytes()


def test_half_the_layers_are_kept(bench: StageRunner, task: Task, teacher: Artifact) -> None:
    whole = load_model(teacher.folder, bench.codec).architecture
    half = bench.run(SliceStage(model="teacher", depth=0.5), task, model=teacher)
    assert load_model(half.folder, bench.codec).architecture == evolve(whole, layers=1)
    both = bench.run(SliceStage(model="teacher", width=0.5, depth=0.5), task, model=teacher)
    assert load_model(both.folder, bench.codec).architecture == evolve(whole, layers=1, heads=1, ffn=16)


def test_a_slice_without_width_and_depth_is_refused(task: Task, codec: Codec) -> None:
    with pytest.raises(UserError, match="set what to keep"):
        SliceStage(model="teacher").prepare({}, task, codec)


@pytest.mark.parametrize("width", [0.0, -0.5, 1.5])
def test_a_width_out_of_range_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="width"):
        SliceStage(model="teacher", width=width)


@pytest.mark.parametrize("depth", [0.0, -0.5, 1.5])
def test_a_depth_out_of_range_is_refused(depth: float) -> None:
    with pytest.raises(ValueError, match="depth"):
        SliceStage(model="teacher", depth=depth)


def test_the_planned_model_has_the_sizes_of_the_slice(planned_teacher: PlannedModel, planning: Planning) -> None:
    whole, both = planned_teacher.architecture, SliceStage(model="teacher", width=0.5, depth=0.5)
    assert whole is not None
    half = both.plan_model({"model": (planned_teacher,)}, planning)
    assert half is not None
    assert half.architecture == evolve(whole, layers=1, heads=1, ffn=16)
    assert half.tokenizer is planned_teacher.tokenizer
    assert both.plan_model({"model": (None,)}, planning) is None
    with pytest.raises(UserError, match=r"width 0\.1 keeps none of 2 heads"):
        SliceStage(model="teacher", width=0.1).plan_model({"model": (planned_teacher,)}, planning)
