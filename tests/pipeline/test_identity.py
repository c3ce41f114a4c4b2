"""Parts that no option of a stage names directly are in its key nevertheless."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve, field, frozen
from torch import Size

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import Splitter, SplitterOptions
from bebertlab.interfaces.stage import (
    EXCLUDED_FROM_KEY,
    Codec,
    Composition,
    Context,
    Inputs,
    QuantSpecs,
    StageGroupOptions,
    StageOptions,
    stage_input,
)
from bebertlab.pipeline.plan import Plan, plan
from bebertlab.pipeline.read import recipe_of
from bebertlab.registry.registry import PluginSource, Registry
from bebertlab.training.labels import LabelsOptions
from bebertlab_stages.split import SplitStage

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


@frozen(kw_only=True)
class Inner(QuantizerOptions):
    """A quantizer that a scheme builds by itself."""

    kind = "inner"

    def build(self, shape: Size) -> Quantizer:
        raise NotImplementedError


@frozen(kw_only=True)
class Plain(SchemeOptions):
    kind = "plain"

    def spec(self) -> QuantSpec:
        return QuantSpec(weights={Site.QUERY: Inner()})


@frozen(kw_only=True)
class Wrapping(SchemeOptions):
    """A scheme derived from another one."""

    kind = "wrapping"
    scheme: SchemeOptions = field(factory=Plain)

    def spec(self) -> QuantSpec:
        return QuantSpec()


@frozen(kw_only=True)
class Term(LossOptions):
    kind = "term"

    def build(self, classes: int) -> Loss:
        raise NotImplementedError


@frozen(kw_only=True)
class Phased(DistillationOptions):
    kind = "phased"

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(name="only", named_losses=("term",)),)


@frozen(kw_only=True)
class Setting:
    """A container of parts."""

    scheme: SchemeOptions | None = None
    distillations: Mapping[str, DistillationOptions] = field(factory=dict)


@frozen(kw_only=True)
class GroupedStage(StageOptions):
    """Contains schemes and distillations in every way that options can."""

    kind = "grouped"
    model: str | None = stage_input(optional=True)
    schemes: tuple[SchemeOptions, ...] = ()
    by_name: Mapping[str, SchemeOptions] = field(factory=dict)
    settings: tuple[Setting, ...] = ()

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(spec=inputs["model"][0] if self.model else QuantSpec())

    def run(self, inputs: Inputs, context: Context) -> None:
        raise NotImplementedError


@frozen(kw_only=True)
class SilentStage(StageOptions):
    """Declares no composition."""

    kind = "silent"

    def run(self, inputs: Inputs, context: Context) -> None:
        raise NotImplementedError


@frozen(kw_only=True)
class PartsStage(SilentStage):
    """Builds parts itself and declares them."""

    kind = "parts"

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(parts=(Phased(), Wrapping()))


@frozen(kw_only=True)
class Containing(QuantizerOptions):
    kind = "holding"
    scheme: SchemeOptions = field(factory=Plain)

    def build(self, shape: Size) -> Quantizer:
        raise NotImplementedError


@frozen(kw_only=True)
class Endless(SchemeOptions):
    kind = "endless"

    def spec(self) -> QuantSpec:
        return QuantSpec(weights={Site.QUERY: Containing(scheme=Endless())})


@frozen(kw_only=True)
class Loading(SilentStage):
    kind = "loading"

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(spec=QuantSpec(inputs={Site.QUERY: Containing()}))


@frozen(kw_only=True)
class ReadingStage(SilentStage):
    """Reads files."""

    kind = "reading"
    file: Path | None = None
    folders: tuple[Path, ...] = ()
    place: Path | None = field(default=None, metadata=EXCLUDED_FROM_KEY)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition()


@frozen(kw_only=True)
class Both(StageGroupOptions):
    kind = "both"

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        return {f"{name}.0": GroupedStage()}


@frozen(kw_only=True)
class DeclaringSplitter(SplitterOptions):
    kind = "saying"

    def spec(self, source: QuantSpec) -> QuantSpec | None:
        return evolve(source, weights={Site.KEY: Inner()})

    def build(self) -> Splitter:
        raise NotImplementedError


@frozen(kw_only=True)
class SilentSplitter(SplitterOptions):
    kind = "silent"

    def build(self) -> Splitter:
        raise NotImplementedError


PARTS: tuple[tuple[type[Options], type[Options]], ...] = (
    (QuantizerOptions, Inner),
    (SchemeOptions, Plain),
    (SchemeOptions, Wrapping),
    (LossOptions, Term),
    (LossOptions, LabelsOptions),
    (DistillationOptions, Phased),
    (StageOptions, GroupedStage),
    (StageOptions, SilentStage),
    (StageOptions, PartsStage),
    (StageOptions, SplitStage),
    (QuantizerOptions, Containing),
    (SchemeOptions, Endless),
    (StageOptions, Loading),
    (StageOptions, ReadingStage),
    (StageGroupOptions, Both),
    (SplitterOptions, DeclaringSplitter),
    (SplitterOptions, SilentSplitter),
)


@pytest.fixture
def planned(toy: Toy) -> Callable[[str], Plan]:
    """Plans a recipe of one or two stages, the last one called `last`."""
    registry = toy.registry.extended(PARTS, PluginSource(plugin="nested", distribution="nested 1"))
    codec = OptionsCodec(registry)

    def plan_text(stages: str) -> Plan:
        text = f"task: toy\nencoder: toy\nstages:\n  {stages}\n"
        return plan(recipe_of(toy.document(text), codec), toy.materials, codec)

    return plan_text


def moved(planned: Callable[[str], Plan], stages: str, part: type[Options], monkeypatch: pytest.MonkeyPatch) -> bool:
    before = planned(stages).nodes
    with monkeypatch.context() as patch:
        patch.setattr(part, "revision", part.revision + 1)
        after = planned(stages).nodes
    return after["last"].key != before["last"].key


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("schemes: [plain]", Plain),
        ("schemes: [plain]", Inner),
        ("schemes: [wrapping]", Inner),
        ("by_name: {low: plain}", Inner),
        ("by_name: {low: {kind: wrapping, scheme: {kind: wrapping}}}", Inner),
        ("settings: [{scheme: plain}]", Inner),
        ("settings: [{distillations: {first: phased}}]", Term),
        ("settings: [{distillations: {first: phased}}]", Phased),
    ],
)
def test_nested_parts_are_in_the_key_at_any_depth(
    planned: Callable[[str], Plan], options: str, part: type[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert moved(planned, f"last: {{kind: grouped, {options}}}", part, monkeypatch)
    assert not moved(planned, "last: grouped", part, monkeypatch)


@pytest.mark.parametrize("part", [Phased, Term, Wrapping, Plain, Inner])
def test_parts_that_a_stage_builds_are_in_the_key_with_their_contents(
    planned: Callable[[str], Plan], part: type[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert moved(planned, "last: parts", part, monkeypatch)


@pytest.mark.parametrize("part", [Inner, Plain, Term, Phased, GroupedStage, SilentSplitter])
def test_without_a_declaration_every_registered_part_is_in_the_key(
    planned: Callable[[str], Plan], part: type[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert moved(planned, "last: silent", part, monkeypatch)


@pytest.mark.parametrize("splitter", ["saying", "silent"])
@pytest.mark.parametrize("source", ["grouped", "silent"])
def test_quantizers_added_by_a_splitter_are_in_the_key(
    planned: Callable[[str], Plan], splitter: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = f"first: {source}\n  last: {{kind: split, model: first, splitter: {splitter}}}"
    assert moved(planned, stages, Inner, monkeypatch)
    exact = splitter == "saying" and source == "grouped"
    assert moved(planned, stages, Term, monkeypatch) is not exact


def test_downstream_stages_have_the_composition_of_a_split_model(planned: Callable[[str], Plan]) -> None:
    stages = "first: grouped\n  split: {kind: split, model: first, splitter: saying}\n"
    done = planned(f"{stages}  last: {{kind: grouped, model: split}}")
    assert done.nodes["last"].spec == QuantSpec(weights={Site.KEY: Inner()})
    assert planned("last: silent").nodes["last"].spec is None


def test_the_revision_of_a_group_is_in_the_key(planned: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned("group: both\nresult: group.0").nodes["group.0"].key
    monkeypatch.setattr(Both, "revision", 2)
    assert planned("group: both\nresult: group.0").nodes["group.0"].key != before


def test_the_hash_of_a_plugin_file_is_in_the_key_of_stages_that_use_its_parts(toy: Toy) -> None:
    def key(fingerprint: str) -> str:
        registry: Registry = toy.registry.extended(PARTS[1:-2], PluginSource(plugin="parts", distribution="parts 1"))
        registry = registry.extended(PARTS[:1], PluginSource(plugin="mine.py", fingerprint=fingerprint))
        codec = OptionsCodec(registry)
        text = "task: toy\nencoder: toy\nstages:\n  last: {kind: grouped, schemes: [wrapping]}\n"
        return plan(recipe_of(toy.document(text), codec), toy.materials, codec).nodes["last"].key

    assert key("a") != key("b")


def test_the_content_of_referenced_files_and_folders_is_in_the_key(
    planned: Callable[[str], Plan], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "words.txt").write_text("old")
    (folder / "deep" / "words.txt").write_text("old")
    stages = f"last: {{kind: reading, file: {tmp_path}/words.txt, folders: [{folder}, {tmp_path}/missing]}}"
    known = {planned(stages).nodes["last"].key}
    for path in (tmp_path / "words.txt", folder / "deep" / "words.txt", folder / "more.txt"):
        path.write_text("new")
        known.add(planned(stages).nodes["last"].key)
    (folder / "more.txt").rename(folder / "renamed.txt")
    known.add(planned(stages).nodes["last"].key)
    assert len(known) == 5
    (tmp_path / "words.txt").rename(tmp_path / "moved.txt")
    where = f"kind: reading, place: {tmp_path}/moved.txt"
    before = planned(f"last: {{{where}}}").nodes["last"].key
    (tmp_path / "moved.txt").write_text("other")
    assert planned(f"last: {{{where}}}").nodes["last"].key == before  # another field identifies the content of a path


def test_parts_that_build_each_other_terminate(planned: Callable[[str], Plan]) -> None:
    assert planned("last: {kind: grouped, schemes: [endless]}").nodes["last"].key


def test_options_of_the_quantizers_of_a_loaded_model_are_in_the_key(
    planned: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert moved(planned, "last: loading", Inner, monkeypatch)
