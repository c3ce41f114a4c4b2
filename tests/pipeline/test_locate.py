from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import YamlDocument
from bebertlab.config.yaml import parse_value
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.stage import EXCLUDED_FROM_KEY, EXCLUDED_FROM_KEY_IF_PATH, StageOptions
from bebertlab.interfaces.task import TaskOptions
from bebertlab.pipeline.locate import has_relative_paths, located, rebased
from bebertlab.pipeline.paths import set_value
from bebertlab.pipeline.plan import plan
from bebertlab.pipeline.read import read_recipe, recipe_of
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.registry import PluginSource, Registry
from tests.pipeline.conftest import PARTS, MakeStage, ToyEncoder, ToyTask


@frozen(kw_only=True)
class Folders:
    """Paths nested in an option."""

    inputs: tuple[Path, ...] = ()
    named: Mapping[str, Path] = field(factory=dict)


@frozen(kw_only=True)
class ReadStage(MakeStage):
    """Reads files."""

    kind = "read"
    file: Path | None = None
    either: str | Path = ""
    folders: Folders = field(factory=Folders)


@frozen(kw_only=True)
class NamedEncoder(ToyEncoder):
    """By a folder or a name."""

    kind = "named"
    name: str = field(metadata=EXCLUDED_FROM_KEY_IF_PATH)

    def digest(self) -> str:
        path = Path(self.name)
        return path.joinpath("weights").read_text() if path.is_dir() else self.name


@frozen(kw_only=True)
class FolderTask(ToyTask):
    """Data in a folder."""

    kind = "placed"
    path: Path = field(metadata=EXCLUDED_FROM_KEY)


REGISTRY = Registry().extended(
    (*PARTS, (StageOptions, ReadStage), (EncoderOptions, NamedEncoder), (TaskOptions, FolderTask)),
    PluginSource(plugin="toy", distribution="toy 1"),
)
CODEC = OptionsCodec(REGISTRY)
RECIPE = """\
task: {kind: placed, path: data}
encoder: {kind: named, name: model}
stages:
  s: {kind: read, file: ../f.txt, either: e, folders: {inputs: [a, /b, ~/c], named: {x: ./d}}}
per_task:
  other: {s.file: other.txt}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe in `sub`; the current one."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub" / "model").mkdir(parents=True)
    (tmp_path / "sub" / "model" / "weights").write_text("w")
    (tmp_path / "sub" / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "f.txt").write_text("text")
    return tmp_path


def read(folder: Path, **settings: str) -> YamlDocument:
    """The recipe in `sub` with changes of the command line."""
    document = read_recipe(folder / "sub" / "recipe.yaml")
    for name, text in settings.items():
        path = name.replace("__", ".")
        document = set_value(document, path, parse_value(text, "--set"), "--set", REGISTRY)
    return document


def data(folder: Path, **settings: str) -> Any:  # noqa: ANN401 - plain data
    return located(read(folder, **settings), REGISTRY).data


def test_a_relative_path_is_relative_to_the_file_that_names_it(folder: Path) -> None:
    actual = data(folder)
    sub = folder / "sub"
    assert actual["task"]["path"] == str(sub / "data")
    stage = actual["stages"]["s"]
    assert stage["file"] == str(sub / "../f.txt")
    assert stage["folders"] == {"inputs": [str(sub / "a"), "/b", "/home/me/c"], "named": {"x": str(sub / "d")}}
    assert stage["either"] == "e"  # text
    assert actual["per_task"] == {"other": {"s.file": str(sub / "other.txt")}}


def test_a_path_of_the_command_line_is_relative_to_the_current_folder(folder: Path) -> None:
    actual = data(folder, task__path="data", s__folders="{inputs: [a, ~/]}", encoder__name="./model")
    assert actual["task"]["path"] == str(folder / "data")
    assert actual["stages"]["s"]["folders"]["inputs"] == [str(folder / "a"), "/home/me"]
    assert actual["encoder"]["name"] == str(folder / "model")
    assert data(folder, s__folders__inputs__0="z")["stages"]["s"]["folders"]["inputs"][0] == str(folder / "z")


def test_a_recipe_that_extends_another_keeps_the_folder_of_each(folder: Path) -> None:
    (folder / "over.yaml").write_text("extends: sub/recipe.yaml\nstages: {s: {folders: {inputs: [mine]}}}\n")
    actual = located(read_recipe(folder / "over.yaml"), REGISTRY).data
    assert actual["task"]["path"] == str(folder / "sub" / "data")
    assert actual["stages"]["s"]["folders"]["inputs"] == [str(folder / "mine")]
    assert actual["stages"]["s"]["folders"]["named"] == {"x": str(folder / "sub" / "d")}
    home = folder / "over2.yaml"
    home.write_text(f"extends: {folder / 'sub'}/recipe.yaml\n")
    assert located(read_recipe(home), REGISTRY).data["task"]["path"] == str(folder / "sub" / "data")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model", "sub/model"),
        ("bert-base-uncased", "bert-base-uncased"),
        ("google/bert", "google/bert"),
        ("./missing", "sub/missing"),
        ("../missing", "sub/../missing"),
        ("~/m", "/home/me/m"),
        ("/m", "/m"),
    ],
)
def test_a_name_is_a_path_where_such_a_folder_exists(folder: Path, name: str, expected: str) -> None:
    path = folder / "sub" / "recipe.yaml"
    path.write_text(RECIPE.replace("name: model", f"name: {name}"))
    actual = data(folder)["encoder"]["name"]
    assert actual == (str(folder / expected) if expected.startswith("sub/") else expected)


def test_the_value_of_an_option_is_absolute(folder: Path) -> None:
    recipe = recipe_of(read(folder), CODEC)
    stage = recipe.stages["s"]
    assert isinstance(stage, ReadStage)
    assert stage.file == folder / "sub" / "../f.txt"


def test_keys_depend_on_the_content_and_not_on_the_path(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    def keys(where: Path, **settings: str) -> list[str]:
        document = read(where, **settings)
        done = plan(recipe_of(document, CODEC), TaskCache(CODEC), CODEC)
        return [node.key for node in done.nodes.values()]

    inputs = {"s__folders": "{}"}
    before = keys(folder, **inputs)
    other = tmp_path_factory.mktemp("other") / "moved"
    (folder / "sub").rename(folder / "renamed")
    folder.rename(other)
    (other / "renamed").rename(other / "sub")
    assert keys(other, **inputs) == before
    assert keys(other, task__path="/elsewhere", encoder__name=str(other / "sub" / "model"), **inputs) == before
    (other / "f.txt").write_text("another text")
    assert keys(other, **inputs) != before


def test_rebased_paths_are_relative_to_one_folder(folder: Path) -> None:
    sub = str(folder / "sub")
    assert rebased(read(folder), sub, REGISTRY).data == read(folder).data
    moved = rebased(read(folder), str(folder), REGISTRY).data
    assert moved["task"]["path"] == "./sub/data"
    assert moved["encoder"]["name"] == "./sub/model"
    assert moved["stages"]["s"]["folders"] == {"inputs": ["./sub/a", "/b", "~/c"], "named": {"x": "./sub/./d"}}
    assert moved["per_task"] == {"other": {"s.file": "./sub/other.txt"}}
    assert rebased(read(folder, task__path="x"), sub, REGISTRY).data["task"]["path"] == "./../x"
    (folder / "link").symlink_to(folder / "sub")
    assert rebased(read(folder), str(folder / "link"), REGISTRY).data == read(folder).data
    part = YamlDocument.of(["x", "/y"])
    assert rebased(part, sub, REGISTRY, tuple[Path, ...]).data == ["./../x", "/y"]


def test_relative_paths_are_detected(folder: Path) -> None:
    document = read(folder)
    assert has_relative_paths(document, REGISTRY)
    assert not has_relative_paths(located(document, REGISTRY), REGISTRY)
    assert has_relative_paths(YamlDocument.of("x"), REGISTRY, Path | None)
    assert not has_relative_paths(YamlDocument.of("~/x"), REGISTRY, Path)
    assert not has_relative_paths(YamlDocument.of("x"), REGISTRY, str)
