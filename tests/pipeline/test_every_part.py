"""Raising the revision of any registered part changes the key of a recipe that uses it, including future parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import evolve, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import YamlDocument
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.model.folder import save_model
from bebertlab.pipeline.plan import Plan, plan
from bebertlab.pipeline.read import read_recipe, recipe_of
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.manager import load_plugins
from bebertlab.registry.registry import PluginSource, RegistryEntry
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_binarybert import Bwn

RECIPES = Path(__file__).parents[2] / "studies" / "recipes"
#: parts that no recipe names: a folder that an importer wrote is identified by its content, a sampler chooses points
OUTSIDE = {"importer", "sampler"}

Data = dict[str, Any]
CLASSES = {"kind": "minigrammar", "size": 24, "select_size": 8, "validation_size": 8}
SCORES = {**CLASSES, "grammar": "similarity"}


@frozen(kw_only=True)
class AnyLosses(DistillationOptions):
    """A distillation of any losses."""

    kind = "any-losses"
    losses: tuple[LossOptions, ...] = ()

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(name="only", losses=self.losses),)


class Planner:
    """Plans recipes of plain data."""

    def __init__(self, folder: Path) -> None:
        registry = load_plugins().registry
        source = PluginSource(plugin="any-losses", distribution="tests 1")
        self.codec = OptionsCodec(registry.extended(((DistillationOptions, AnyLosses),), source))
        self.materials = TaskCache(self.codec)
        self.folder = folder
        save_model(tiny_model(tiny_task(), QuantSpec(weights={Site.QUERY: Bwn()})), folder / "low", self.codec)
        save_model(tiny_model(tiny_task()), folder / "full", self.codec)
        for name in ("low", "full"):
            tiny_tokenizer(folder / name)
        (folder / "glue" / "cola").mkdir(parents=True)
        for split, count in (("train", 40), ("validation", 10)):
            columns = {"sentence": [f"{split} {i}" for i in range(count)], "label": [i % 2 for i in range(count)]}
            table = pa.table({**columns, "idx": list(range(count))})
            pq.write_table(table, folder / "glue" / "cola" / f"{split}.parquet")

    def plan(self, data: Data) -> Plan:
        return plan(recipe_of(YamlDocument.of(data), self.codec), self.materials, self.codec)

    def options(self, role: str, kind: str) -> Data:
        """The options of a part, with its required values."""
        needed: dict[tuple[str, str], Data] = {
            ("task", "minigrammar"): CLASSES,
            ("task", "glue"): {"name": "cola", "path": str(self.folder / "glue")},
            ("encoder", "pretrained"): {"name": str(self.folder / "full"), "maximum_tokens": 16},
        }
        return {**needed.get((role, kind), {}), "kind": kind}

    def recipe(self, stages: Data, **more: Data | str) -> Data:
        return {"task": CLASSES, "encoder": {"kind": "tiny"}, "stages": stages, **more}

    def recipes(self, role: str, kind: str) -> Iterator[Data]:
        """Recipes that use a part of a role, the first stage without it; a single one that can be planned suffices."""
        part = self.options(role, kind)
        base = {"base": {"kind": "finetune"}}
        student = {"kind": "distill", "model": "base", "teacher": "base", "distillation": "none"}
        members = {"kind": "members", "model": "base", "ensemble": "single"}
        merge = {"kind": "merge", "members": "members", "rule": part}
        last: Mapping[str, Data] = {
            "scheme": {**student, "scheme": part},
            "loss": {**student, "distillation": {"kind": "any-losses", "losses": [part]}},
            "distillation": {**student, "distillation": part},
            "ensemble": {**members, "ensemble": part},
        }
        ternary = {**student, "scheme": {"kind": "binarybert", "weight_bits": 2}}
        if role == "quantizer":
            for position in ("weights", "inputs"):  # some quantize only one of them
                yield self.recipe({**base, "last": {**student, "scheme": {"kind": "custom", position: part}}})
        elif role in last:
            name = "members" if role == "ensemble" else "last"
            yield self.recipe({**base, name: last[role]}, result="members.0" if role == "ensemble" else name)
        elif role == "splitter":
            yield self.recipe({**base, "ternary": ternary, "last": {"kind": "split", "model": "ternary", role: part}})
        elif role == "merger":
            yield self.recipe({**base, "members": members, "last": merge})
            yield self.recipe({**base, "members": members, "last": merge}, task=SCORES)
        elif role in ("task", "encoder"):
            yield self.recipe(base, **{role: part})
        elif role == "stage":
            yield self.recipe(self.stages(base, ternary))

    def stages(self, base: Data, ternary: Data) -> Data:
        """Every kind of stage."""
        return {
            **base,
            "load": {"kind": "load", "folder": str(self.folder / "low")},
            "reorder": {"kind": "reorder", "model": "base"},
            "slice": {"kind": "slice", "model": "reorder", "width": 0.5},
            "distill": ternary,
            "split": {"kind": "split", "model": "distill", "splitter": "tws"},
            "members": {"kind": "members", "model": "split", "ensemble": "single"},
            "member": {"kind": "member", "model": "load", "ensemble": "single"},
            "merge": {"kind": "merge", "members": "members"},
            "pack": {"kind": "pack", "of": "merge"},
            "evaluate": {"kind": "evaluate", "of": "pack"},
        }

    def moved(self, part: type[Options], data: Data, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        """Names of the stages whose keys change with the revision of a part."""
        before = self.plan(data).nodes
        with monkeypatch.context() as patch:
            patch.setattr(part, "revision", part.revision + 1)
            after = self.plan(data).nodes
        return {name for name in before if before[name].key != after[name].key}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    return Planner(tmp_path_factory.mktemp("parts"))


def wrong(bench: Planner, entry: RegistryEntry, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Errors of the keys of recipes that use a part."""
    errors = []
    for data in bench.recipes(entry.role, entry.kind):
        try:
            moved = bench.moved(entry.cls, data, monkeypatch)
        except UserError as error:
            errors.append(str(error))
            continue
        return None if moved else "moves no key"
    return f"no recipe of this test can use it: {errors}"


def test_the_revision_of_every_part_is_in_some_key(bench: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry for entry in load_plugins().registry.all() if entry.role not in OUTSIDE]
    actual = {f"{entry.role} {entry.kind}": wrong(bench, entry, monkeypatch) for entry in entries}
    assert {part: what for part, what in actual.items() if what} == {}


@pytest.mark.parametrize("role", ["quantizer", "scheme", "splitter", "ensemble", "merger"])
def test_the_key_of_a_model_excludes_unrelated_parts(
    bench: Planner, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = bench.codec.registry
    kind = registry.kinds(role)[0]
    assert "base" not in bench.moved(registry.find(role, kind), next(bench.recipes(role, kind)), monkeypatch)


def test_a_quantizer_added_by_a_splitter_is_in_all_downstream_keys(
    bench: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {**read_recipe(RECIPES / "bebert.yaml").data, "task": CLASSES, "encoder": {"kind": "tiny"}}
    moved = bench.moved(Bwn, data, monkeypatch)
    assert moved == {"split", "binary", "members.0", "members.1", "merge", "packed", "score"}


def test_a_quantizer_of_a_loaded_model_is_in_the_keys(bench: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = {"load": {"kind": "load", "folder": str(bench.folder / "low")}}
    further = {"kind": "distill", "model": "load", "distillation": "none"}
    data = bench.recipe({**stages, "last": further})
    assert bench.moved(Bwn, data, monkeypatch) == {"load", "last"}
    spec = bench.plan(data).nodes["last"].spec
    assert spec is not None
    assert spec.weights == {Site.QUERY: Bwn()}
    full = evolve(spec, weights={})
    assert full == QuantSpec()


def test_the_default_rule_of_an_ensemble_is_in_the_key_of_the_merge_alone(
    bench: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {"kind": "members", "model": "base", "ensemble": "bagging"}
    stages = {"base": {"kind": "finetune"}, "members": members, "merge": {"kind": "merge", "members": "members"}}
    rule = bench.codec.registry.find("merger", "mean_probability")
    assert bench.moved(rule, bench.recipe(stages), monkeypatch) == {"merge"}
