from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.artifacts.packed import PACKED_FOLDER
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Artifact, input_names
from bebertlab.interfaces.task import Task
from bebertlab.packed.read import read_packed
from bebertlab.pipeline.graph import result_of
from bebertlab.pipeline.read import read_recipe, recipe_of
from bebertlab.testing.stage_runner import StageRunner
from bebertlab_stages.evaluate import EvaluateStage
from bebertlab_stages.merge import MergeStage
from bebertlab_stages.pack import PackStage

RECIPES = Path(__file__).parents[3] / "studies" / "recipes"
#: what is packed where stages stand behind it that run only where something reads them
_ENDS = {"dynabert": "slice"}
Metrics = Callable[[Artifact], Mapping[str, float]]


@pytest.fixture
def merge(bench: StageRunner) -> MergeStage:
    return MergeStage(members=("a", "b"), rule=bench.codec.load({"kind": "mean_probability"}, MergerOptions))  # type: ignore[type-abstract]


def test_the_members_of_an_ensemble_are_filled_in(merge: MergeStage, bench: StageRunner, task: Task) -> None:
    prepared = PackStage(of="merge").prepare({"of": (merge,)}, task, bench.codec)
    assert input_names(prepared) == {"of": ("merge",), "members": ("a", "b")}
    assert prepared.prepare({"of": (merge,), "members": ()}, task, bench.codec) == prepared
    group = evolve(merge, members="members")
    assert PackStage(of="merge").prepare({"of": (group,)}, task, bench.codec).members == ("members",)
    with pytest.raises(UserError, match="members is filled in from the stage 'merge'; leave it out"):
        PackStage(of="merge", members=("a",)).prepare({"of": (merge,)}, task, bench.codec)


def test_a_stage_without_a_model_is_refused(bench: StageRunner, task: Task) -> None:
    for stage in (EvaluateStage(of="teacher"), PackStage(of="teacher")):
        with pytest.raises(UserError, match=f"a stage of kind '{stage.kind}' has no model to pack; name the stage"):
            PackStage(of="it").prepare({"of": (stage,)}, task, bench.codec)


def test_at_least_one_example_is_compared() -> None:
    assert PackStage(of="a", examples=None).examples is None
    with pytest.raises(ValueError, match="'examples' must be at least 1, or null for all: 0"):
        PackStage(of="a", examples=0)


def test_a_model_and_an_ensemble_are_packed(
    merge: MergeStage, bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    single = bench.run(PackStage(of="teacher"), task, of=teacher)
    assert 0.9 < metrics(single)["size/packed_mebibytes"] / metrics(teacher)["size/total_mebibytes"] < 2
    other = evolve(teacher, key="another one")
    merged = bench.run(merge, task, members=(teacher, other), prepare=False)
    packed = bench.run(PackStage(of="merge"), task, of=merged, members=(teacher, other), prepare=False)
    file = read_packed(packed.folder / PACKED_FOLDER, bench.codec)
    assert len(file.members) == 2
    # what is equal in both is stored once
    assert metrics(packed)["size/packed_mebibytes"] < 1.1 * metrics(single)["size/packed_mebibytes"]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_packs_its_result(path: Path, bench: StageRunner) -> None:
    recipe = recipe_of(read_recipe(path), bench.codec)
    result = recipe.stages[result_of(recipe)]
    assert isinstance(result, EvaluateStage)
    packed = recipe.stages[result.of]
    assert isinstance(packed, PackStage)
    last = [name for name, stage in recipe.stages.items() if stage.kind not in ("pack", "evaluate")]
    assert packed.of == (last[-1] if path.stem not in _ENDS else _ENDS[path.stem])
    assert result.measure is None


def test_a_packed_model_is_not_merged(bench: StageRunner, task: Task) -> None:
    merge = MergeStage(members=("packed", "b"), rule="mean_probability")  # type: ignore[arg-type] # not read here
    with pytest.raises(UserError, match="a stage of kind 'pack' has no model to merge"):
        merge.prepare({"members": (PackStage(of="teacher"), PackStage(of="b"))}, task, bench.codec)
