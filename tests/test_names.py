"""One name, one meaning: of classes everywhere, and of everything that the api offers."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bebertlab import api

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): path
    for base, pattern in ((ROOT, "bebertlab/**/*.py"), (ROOT / "plugins", "**/*.py"))
    for path in sorted(base.glob(pattern))
}
#: words that a reader would have to guess; and the words of the field
INSTEAD = {
    "behind": "ancestors",
    "beside": "next to",
    "carve": "split_off",
    "design": "spec",
    "drop": "dropout",
    "environment_fault": "SetupError",
    "fault": "error",
    "faults": "errors",
    "hold": "require",
    "judge": "update",
    "lasting": "transferable",
    "law": "contract",
    "many": "summaries",
    "narrowed": "scaled",
    "place": "position, or path",
    "round": "sample_weights",
    "rubbish": "garbage",
    "said": "message",
    "speaks": "votes",
    "spoken": "format",
    "surgery": "requantize",
    "tell": "notify",
    "told": "notified",
    "verdict": "result",
    "voice": "member",
    "words": "names, or message",
    "worth": "eligible",
}


def definitions(path: Path) -> Iterator[tuple[str, type[ast.stmt]]]:
    """Public names that a module defines at its top level, with the kind of statement; imports are not definitions."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets: list[ast.expr] = []
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name, type(node)
        elif isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        yield from ((target.id, type(node)) for target in targets if isinstance(target, ast.Name))


DEFINED: dict[str, list[tuple[str, type[ast.stmt]]]] = defaultdict(list)
for module, file in MODULES.items():
    for defined, statement in definitions(file):
        if not defined.startswith("_"):
            DEFINED[defined].append((module, statement))


def test_no_two_modules_define_a_class_of_the_same_name() -> None:
    classes = {
        name: [module for module, statement in where if statement is ast.ClassDef] for name, where in DEFINED.items()
    }
    several = {name: modules for name, modules in classes.items() if len(modules) > 1}
    assert not several, f"rename all but one class of each name: {several}"


@pytest.mark.parametrize("name", sorted(api.__all__))
def test_a_name_of_the_api_means_nothing_else_elsewhere(name: str) -> None:
    modules = sorted({module for module, _ in DEFINED[name]})  # a function with overloads is several statements
    assert len(modules) == 1, (
        f"'{name}' of bebertlab.api is defined in {modules}; rename all but the one that it offers"
    )


@pytest.mark.parametrize("name", sorted(api.__all__))
def test_the_api_has_the_words_of_the_field(name: str) -> None:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    odd = {word: INSTEAD[word] for word in (*snake.split("_"), snake) if word in INSTEAD}
    assert not odd, f"'{name}' of bebertlab.api: instead of {odd}"


def test_the_words_of_the_field_are_none_of_those_they_replace() -> None:
    assert not {word for words in INSTEAD.values() for word in re.split(r"\W+|_", words.lower())} & INSTEAD.keys()
