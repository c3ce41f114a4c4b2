"""The generated parts of the documentation match the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from bebertlab.cli.main import main
from bebertlab.formats import FORMATS, LEARNING_CURVE
from bebertlab.interfaces.capabilities import CAPABILITIES
from bebertlab.interfaces.metric_names import METRICS
from bebertlab.interfaces.roles import ROLES
from bebertlab.registry.hookspecs import hook_specifications

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REQUESTS = sorted(
    {
        request
        for page in DOCS.rglob("*.md")
        for request in re.findall(r"^<!-- generated: (.*) -->$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bebertlab_docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_referenced_part_is_generated(generator: ModuleType, request_: str) -> None:
    page = f"# Title\n\n<!-- generated: {request_} -->\n\nText.\n"
    text = generator.on_page_markdown(page)
    assert text == page.replace(f"<!-- generated: {request_} -->", generator.generate(request_))
    assert len(text) > len(page)


def test_every_role_has_a_page(generator: ModuleType) -> None:
    assert {f"kinds {role.name}" for role in ROLES} <= set(REQUESTS)


def test_a_kind_is_listed_with_all_options_those_of_nested_mappings_included(generator: ModuleType) -> None:
    text = generator.generate("kinds stage")
    section = text.partition("## `finetune` { #finetune }")[2].partition("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.startswith("| `train.epochs` |")]
    assert row == "| `train.epochs` | an integer | `3` | `>= 1` | passes over the train split, in each phase |"


def test_required_options_have_no_default(generator: ModuleType) -> None:
    assert re.search(r"^\| `name` \| text \| required \|", generator.generate("kinds encoder"), flags=re.MULTILINE)


def test_options_of_a_study_include_those_of_each_searched_path_and_question(generator: ModuleType) -> None:
    text = generator.generate("options bebertlab.study.study:Study")
    assert {"`search.*.loguniform`", "`questions[].baseline`"} <= set(re.findall(r"`[^`]+`", text))


def _commands(command: click.Command, context: click.Context) -> list[tuple[str, click.Command]]:
    actual = [(context.command_path, command)]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            actual += _commands(child, click.Context(child, info_name=name, parent=context))
    return actual


def test_every_command_is_listed_with_every_option(generator: ModuleType) -> None:
    text = generator.generate("commands")
    sections = dict(re.findall(r"^#+ `(bebertlab[^`]*)`\n(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    commands = _commands(main, click.Context(main, info_name="bebertlab"))
    assert sections.keys() == {path for path, _ in commands}
    for path, command in commands:
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert not [option.opts for option in options if option.opts[-1] not in sections[path]]


def test_every_topic_of_the_api_has_a_page() -> None:
    topics = {path.stem for path in (ROOT / "bebertlab/api").glob("*.py")} - {"__init__"}
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "reference/api").glob("*.md")}
    assert {name for name, text in pages.items() if f"\n::: bebertlab.api.{name}\n" in text} == topics


def test_every_hook_is_listed(generator: ModuleType) -> None:
    text = generator.generate("roles") + generator.generate("hooks")
    assert not [name for name in hook_specifications() if f"`{name}`" not in text]


def test_every_metric_is_listed_with_its_unit_and_direction(generator: ModuleType) -> None:
    rows = generator.generate("metrics").splitlines()
    assert len(rows) == 2 + len(METRICS)
    assert "| `{split}/ece` | % | lower |" in "\n".join(rows)
    assert "| `train/steps` |  |  | optimizer steps of a stage |" in rows


def test_every_format_is_listed_with_its_number(generator: ModuleType) -> None:
    rows = generator.generate("formats").splitlines()
    assert len(rows) == 2 + len(FORMATS)
    (row,) = [row for row in rows if row.startswith(f"| {LEARNING_CURVE.name} |")]
    assert f"| {LEARNING_CURVE.number} |" in row
    assert sum(row.endswith("| built again |") for row in rows) == sum(not format_.remedy for format_ in FORMATS)


def test_every_capability_of_quantizers_is_on_the_page_about_them(generator: ModuleType) -> None:
    text = generator.generate("capabilities")
    page = (DOCS / "how-to/quantizer-capabilities.md").read_text(encoding="utf-8")
    for attribute, protocol in CAPABILITIES.items():
        assert f"| `{protocol.__name__}` | `{attribute}` |" in text
        assert f"`{attribute}`" in page


@pytest.mark.parametrize("folder", ["bebertlab", "plugins"])
def test_every_package_is_listed_with_its_content(generator: ModuleType, folder: str) -> None:
    rows = generator.generate(f"packages {folder}").splitlines()[2:]
    packages = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob("*/__init__.py")}
    assert packages <= {match[1].removesuffix("/") for row in rows if (match := re.match(r"\| `(.*?)` \|", row))}
    assert not [row for row in rows if row.endswith("|  |")]


@pytest.mark.parametrize("request_", ["tables", "kinds metric", "options bebertlab.study.study:Nothing"])
def test_a_part_that_does_not_exist_is_an_error(generator: ModuleType, request_: str) -> None:
    with pytest.raises((ValueError, AttributeError)):
        generator.on_page_markdown(f"<!-- generated: {request_} -->\n")


def test_text_is_passed_through_unchanged(generator: ModuleType) -> None:
    assert generator._text("s * |w| < 1, x[0], `a|b*`") == r"s \* \|w\| \< 1, x\[0\], `a\|b*`"


def test_labels_start_paragraphs_and_examples_are_code(generator: ModuleType) -> None:
    docstring = "One sentence.\n\nq = s * w.\nShape: (O, I).\nSource: a paper,\nsection 2.\n\n>>> f(1)\n2"
    assert generator._prose(docstring).split("\n\n") == [
        "One sentence.",
        r"q = s \* w.",
        "**Shape**: (O, I).",
        "**Source**: a paper,\nsection 2.",
        "```pycon\n>>> f(1)\n2\n```",
    ]
