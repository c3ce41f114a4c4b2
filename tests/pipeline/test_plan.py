from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import YamlDocument
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.stage import Artifact
from bebertlab.pipeline.paths import set_value
from bebertlab.pipeline.plan import ComputeSettings, Plan, plan, with_seed
from bebertlab.pipeline.read import read_recipe, recipe_of
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.manager import load_plugins
from bebertlab.registry.registry import PluginSource, Registry
from bebertlab.store.fingerprint import fingerprint

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

    With = Callable[[str, str], Toy]


def planned(toy: Toy, machine: ComputeSettings | None = None, **settings: object) -> Plan:
    document = toy.document()
    for text, value in settings.items():
        document = set_value(document, text.replace("__", "."), value, "--set", toy.registry)
    return plan(recipe_of(document, toy.codec), toy.materials, toy.codec, machine)


def changed(first: Plan, second: Plan) -> set[str]:
    return {name for name, node in first.nodes.items() if second.nodes[name].key != node.key}


ALL = {"teacher", "student", "team.0", "team.1", "score"}


def test_stages_follow_their_inputs(toy: Toy) -> None:
    done = planned(toy)
    assert list(done.nodes) == ["teacher", "student", "team.0", "team.1", "score"]
    assert done.nodes["score"].inputs == {"of": ("team.0", "team.1")}
    assert done.result.name == "score"
    assert done.nodes["team.1"].top == "team"


def test_stages_may_be_written_in_any_order(toy_with: With) -> None:
    toy = toy_with("  teacher: {kind: make}\n", "")
    done = planned(evolve(toy, text=toy.text + "  teacher: {kind: make}\n"), result="score")
    assert list(done.nodes)[:2] == ["teacher", "student"]


def test_a_plan_is_the_same_every_time(toy: Toy) -> None:
    assert changed(planned(toy), planned(toy)) == set()


def test_a_key_is_the_hash_of_its_parts(toy: Toy) -> None:
    node = planned(toy).nodes["student"]
    assert node.key == fingerprint(node.parts)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"seed": 4}, ALL),
        ({"task__size": 5}, ALL),
        ({"encoder__text": "others"}, ALL),
        ({"teacher__train__epochs": 6}, ALL),
        ({"train__epochs": 6}, ALL),
        ({"student__train__warmup": 0.3}, ALL - {"teacher"}),
        ({"student__scheme__bits": 2}, ALL - {"teacher"}),
        ({"student__distillation": "none"}, ALL - {"teacher"}),
        ({"team__model": "teacher"}, {"team.0", "team.1", "score"}),
        ({"team__size": 3}, {"score"}),
        ({"description": "another"}, set()),
        ({"result": "student"}, set()),
    ],
)
def test_what_changes_a_key(toy: Toy, settings: dict[str, Any], expected: set[str]) -> None:
    assert changed(planned(toy), planned(toy, **settings)) == expected


def test_the_machine_is_part_of_the_keys(toy: Toy) -> None:
    base = planned(toy)
    assert changed(base, planned(toy, ComputeSettings(threads=2))) == ALL
    assert changed(base, planned(toy, ComputeSettings(device="cuda:1"))) == ALL
    assert (
        changed(planned(toy, ComputeSettings(device="cuda:0")), planned(toy, ComputeSettings(device="cuda:1"))) == set()
    )


def test_an_invalid_device_is_refused() -> None:
    with pytest.raises(UserError, match=r"device 'gpu' is not known to torch; use e\.g\. cpu, cuda"):
        ComputeSettings(device="gpu")
    ComputeSettings().check()


@pytest.mark.skipif(torch.cuda.device_count() > 99, reason="has a hundred GPUs")
def test_an_unavailable_device_is_named() -> None:
    with pytest.raises(SetupError, match="device 'cuda:99' cannot be used: "):
        ComputeSettings(device="cuda:99").check()


def test_a_written_default_leaves_the_key_unchanged(toy: Toy) -> None:
    assert changed(planned(toy), planned(toy, student__train__weight_decay=0.01, task__size=4)) == set()


def test_a_deterministic_stage_is_shared_among_seeds(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = type(planned(toy).nodes["teacher"].stage)
    monkeypatch.setattr(stage, "deterministic", True)
    first, second = (planned(toy, seed=seed) for seed in (1, 2))
    assert changed(first, second) == ALL - {"teacher"}


def test_a_stage_with_a_seed_is_shared_among_study_seeds(toy: Toy) -> None:
    first, second = (planned(toy, teacher__seed=0, seed=seed) for seed in (1, 2))
    assert changed(first, second) == ALL - {"teacher"}
    assert first.nodes["teacher"].seed == 0
    assert changed(planned(toy, seed=0), planned(toy, teacher__seed=0, seed=0)) == set()


def test_names_are_not_part_of_the_key(toy: Toy) -> None:
    text = toy.text.replace("teacher", "boss").replace("    boss: boss", "    teacher: boss")
    assert planned(evolve(toy, text=text)).nodes["score"].key == planned(toy).nodes["score"].key


def test_an_unused_input_is_not_needed(toy: Toy) -> None:
    done = planned(toy, student__distillation="none", student__model="teacher")
    assert done.nodes["student"].inputs == {"model": ("teacher",)}


def test_revisions_of_nested_parts_are_in_the_key(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    base = planned(toy)
    for role, kind in (("quantizer", "round"), ("scheme", "low"), ("distillation", "taught"), ("stage", "change")):
        with monkeypatch.context() as patch:
            patch.setattr(toy.registry.find(role, kind), "revision", 2)
            assert "student" in changed(base, planned(toy)), kind
            assert "teacher" not in changed(base, planned(toy)), kind


def test_the_text_of_a_one_file_plugin_is_in_the_key(toy: Toy) -> None:
    from bebertlab.config.codec import OptionsCodec

    def with_fingerprint(text: str) -> Plan:
        pairs = tuple((entry.cls.__mro__[1], entry.cls) for entry in toy.registry.all())
        registry = Registry().extended(pairs, PluginSource(plugin="toy.py", fingerprint=text))
        codec = OptionsCodec(registry)
        return plan(recipe_of(toy.document(), codec), toy.materials, codec)

    assert changed(with_fingerprint("a"), with_fingerprint("a")) == set()
    assert changed(with_fingerprint("a"), with_fingerprint("b")) == ALL


def test_errors_of_preparation_name_the_stage(toy_with: With) -> None:
    with pytest.raises(UserError, match=r"^stage student \(change\): 'taught' needs a teacher$"):
        planned(toy_with("    teacher: teacher\n", ""))


def test_errors_of_all_stages_are_reported_together(toy: Toy) -> None:
    text = toy.text + "  more: {kind: change, model: teacher, distillation: taught}\n"
    text = text.replace("    teacher: teacher\n", "")
    with pytest.raises(UserError) as caught:
        plan(recipe_of(toy.document(text), toy.codec), toy.materials, toy.codec)
    assert [line.split(" (")[0] for line in str(caught.value).splitlines()] == ["stage student", "stage more"]


def test_errors_of_plugin_code_name_the_stage(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(*_: object) -> None:
        raise ValueError("no\nidea")

    recipe = recipe_of(toy.document(), toy.codec)
    monkeypatch.setattr(type(recipe.stages["student"]), "prepare", prepare)
    with pytest.raises(UserError, match=r"^stage student \(change\): ValueError: no idea$") as actual:
        plan(recipe, toy.materials, toy.codec)
    assert isinstance(actual.value.__cause__, ValueError)


def test_ancestors_are_the_stages_that_a_stage_was_built_from(toy: Toy) -> None:
    done = planned(toy)
    assert [node.name for node in done.ancestors("team.0")] == ["teacher", "student", "team.0"]
    assert [node.name for node in done.ancestors("teacher")] == ["teacher"]


def test_planning_is_quick(toy: Toy) -> None:
    planned(toy)
    start = perf_counter()
    for size in range(20):
        planned(toy, team__size=size % 9 + 1)
    assert (perf_counter() - start) / 20 < 0.5  # about 2 ms; a wide margin for a busy machine


def test_paths_are_not_part_of_a_key(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = type(planned(toy).nodes["teacher"].stage)
    monkeypatch.setattr("bebertlab.pipeline.identity.excluded_fields", lambda cls: ("train",) if cls is stage else ())
    first, second = (planned(toy, teacher__train__epochs=epochs) for epochs in (5, 6))
    assert changed(first, second) == set()


STAGES: dict[str, Any] = {
    "teacher": {"kind": "finetune"},
    "start": {"kind": "load", "classes": ["unacceptable", "acceptable"]},
    "slice": {"kind": "slice", "model": "start", "depth": 1.0},
    "split": {"kind": "split", "model": "slice", "splitter": "tws"},
    "student": {"kind": "distill", "model": "slice", "teacher": "teacher", "distillation": "two-stage"},
    "members": {
        "kind": "members", "model": "student", "teacher": "start", "ensemble": "bagging", "distillation": "two-stage",
    },
    "merge": {"kind": "merge", "members": "members"},
}  # fmt: skip


def planned_stages(folder: Path, **stages: dict[str, Any]) -> Plan:
    codec = OptionsCodec(load_plugins().registry)
    data = {name: {**stage, **stages.get(name, {})} for name, stage in STAGES.items()}
    data["start"]["folder"] = str(folder)
    task = {"kind": "minigrammar"}
    recipe = {"schema_version": 1, "task": task, "encoder": "tiny", "stages": data, "result": "merge"}
    return plan(recipe_of(YamlDocument.of(recipe), codec), TaskCache(codec), codec)


def test_the_model_of_every_stage_is_planned(teacher: Artifact) -> None:
    nodes = planned_stages(teacher.folder, teacher={**STAGES["start"], "folder": str(teacher.folder)}).nodes
    known = {name: node.model and node.model.architecture for name, node in nodes.items()}
    sizes = known["start"]
    assert sizes is not None
    assert known == {
        **dict.fromkeys(("teacher", "start", "slice", "student", "members.0", "members.1"), sizes),
        "split": None, "merge": None,
    }  # fmt: skip
    assert {node.model.maximum_tokens for node in nodes.values() if node.model} == {32}


def test_models_that_do_not_fit_are_refused_before_anything_runs(teacher: Artifact) -> None:
    with pytest.raises(
        UserError, match=r"stage student .*: teacher 'teacher' and model 'slice' make other tokens"
    ) as notified:
        planned_stages(teacher.folder)
    assert f"the tokenizer of the encoder 'tiny' and the tokenizer of {teacher.folder} differ in" in str(notified.value)
    assert notified.value.exit_code == 2
    with pytest.raises(UserError, match=r"stage members .*: teacher 'start' and model 'student' make other tokens"):
        planned_stages(
            teacher.folder,
            slice={"model": "teacher"},
            student={"teacher": "teacher"},
        )
    planned_stages(teacher.folder, student={"distillation": "prediction"}, members={"distillation": "prediction"})
    with pytest.raises(UserError, match=r"stage slice .*: depth 0\.1 keeps none of 2 layers"):
        planned_stages(teacher.folder, slice={"depth": 0.1})


def test_a_quantizer_at_a_site_that_it_does_not_apply_to_is_refused_before_anything_runs(teacher: Artifact) -> None:
    scheme = {"kind": "custom", "weight_sites": {"key": "bitnet_activation"}}
    with pytest.raises(UserError) as raised:
        planned_stages(teacher.folder, student={"distillation": "prediction", "scheme": scheme})
    assert "stage student (distill): weights.key: quantizer 'bitnet_activation' is for activations only" in str(
        raised.value
    )


def test_another_seed_gives_the_plan_of_the_recipe_with_that_seed() -> None:
    codec = OptionsCodec(load_plugins().registry)
    recipe = recipe_of(read_recipe(Path(__file__).parents[2] / "studies/recipes/bebert.yaml"), codec)
    first, second = (plan(evolve(recipe, seed=seed), TaskCache(codec), codec) for seed in (0, 3))
    again = with_seed(first, 3)
    assert again.recipe == second.recipe
    assert list(again.nodes) == list(second.nodes)
    for node, expected in zip(again.nodes.values(), second.nodes.values(), strict=True):
        assert (node.seed, node.parts, node.key) == (expected.seed, expected.parts, expected.key)
        assert node.key == fingerprint(node.parts)
    assert changed(first, second)


def test_the_study_seed_reaches_neither_stages_with_a_seed_nor_deterministic_ones(toy: Toy) -> None:
    first = planned(toy, stages__teacher__seed=5)
    second = with_seed(first, 9)
    assert with_seed(first, first.recipe.seed) is first
    assert second.nodes["teacher"].seed == 5
    assert second.nodes["teacher"].key == first.nodes["teacher"].key
    assert second.nodes["student"].seed == 9
