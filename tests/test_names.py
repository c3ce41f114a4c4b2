"""One name, one meaning: of classes everywhere, and of everything in the API; and no invented words anywhere."""

from __future__ import annotations

import ast
import io
import re
import tokenize
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
#: source, tests and pages; the changelog lists old names, and this file the words
FILES = [
    path
    for pattern in (
        "bebertlab/**/*.py",
        "plugins/**/*.py",
        "tests/**/*.py",
        "docs/**/*.py",
        "docs/**/*.md",
        "studies/**/*.yaml",
    )
    for path in sorted(ROOT.glob(pattern))
    if path != Path(__file__)
] + [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
#: patterns of words and idioms that neither names nor sentences may have, and the plain terms
IDIOMS = {
    "beside": "next to",
    "carve": "split off",
    "carved": "split off",
    "faulty": "invalid",
    "judge": "select, or evaluate",
    "kin": "related",
    "lasting": "transferable",
    "lies": "is",
    "mended": "fixed",
    "rubbish": "garbage",
    "said": "reported, or message",
    "speak": "report, or vote",
    "speaks": "reports, or votes",
    "spoken": "formatted",
    "surgery": "requantization",
    "tells": "reports, or shows",
    "told": "notified, or reported",
    "verdict": "result, or conclusion",
    "voice": "member",
    "voices": "members",
    "worth": "value, or eligible",
    "an own": "a separate, or your own",
    "laid over": "merged into",
    "let go of": "removed",
    r"of (?:its|their) own(?=[.,;:)]|$)": "separate",
}
#: words of the API that a reader would have to guess, and the words of the field
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
def test_a_name_of_the_api_is_defined_once(name: str) -> None:
    modules = sorted({module for module, _ in DEFINED[name]})  # a function with overloads is several statements
    assert len(modules) == 1, (
        f"'{name}' of bebertlab.api is defined in {modules}; rename all but the one that it offers"
    )


@pytest.mark.parametrize("name", sorted(api.__all__))
def test_the_api_has_no_invented_words(name: str) -> None:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    odd = {word: INSTEAD[word] for word in (*snake.split("_"), snake) if word in INSTEAD}
    assert not odd, f"'{name}' of bebertlab.api: instead of {odd}"


def test_replacements_contain_no_invented_words() -> None:
    assert (
        not {word for replacements in INSTEAD.values() for word in re.split(r"\W+|_", replacements.lower())}
        & INSTEAD.keys()
    )


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Names that a file defines: of functions, classes, arguments and variables."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def sentences(text: str) -> Iterator[str]:
    """The comments and docstrings of a Python file."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (
            token.type == tokenize.STRING and token.string.startswith(('"""', 'r"""'))
        ):
            yield token.string


def prose(path: Path) -> str:
    """What a file has for people, in lower case: its names word by word, comments and docstrings; all of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text.lower()
    names = (re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ") for name in identifiers(ast.parse(text)))
    return " . ".join([*names, *sentences(text)]).lower()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_and_sentences_have_no_idioms(path: Path) -> None:
    words = re.sub(r"\s+", " ", prose(path))
    used = {idiom: plain for idiom, plain in IDIOMS.items() if re.search(rf"\b{idiom}\b", words)}
    assert not used, f"{path.relative_to(ROOT)}: instead of {used}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("told = 1", "told"),
        ("def f(told_once: int) -> None: ...", "told"),
        ("class FilesTold: ...", "told"),
        ("x = 1  # as told", "told"),
        ('"""A scale of\nits own."""', r"of (?:its|their) own(?=[.,;:)]|$)"),
        ('"""Tokens of its own tokenizer."""', None),
        ('x = "beside"', None),
    ],
)
def test_idioms_are_detected_in_names_comments_and_docstrings(text: str, expected: str | None, tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text(text, encoding="utf-8")
    words = re.sub(r"\s+", " ", prose(path))
    assert [idiom for idiom in IDIOMS if re.search(rf"\b{idiom}\b", words)] == [expected] * (expected is not None)
