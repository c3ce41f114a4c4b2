"""Links of the README and the pages lead to existing files, and their numbers match the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bebertlab import errors
from bebertlab.cli.main import EXIT_INTERNAL

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: pages that are read in the repository only, so that mkdocs does not check their links
OUTSIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]


def test_the_readme_is_short() -> None:
    words = [word for word in (ROOT / "README.md").read_text(encoding="utf-8").split() if re.search(r"\w", word)]
    assert len(words) <= 700


def test_the_readme_shows_the_example_that_is_tested() -> None:
    assert (DOCS / "examples/my_quantizer.py").read_text(encoding="utf-8") in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )


def test_the_exit_codes_are_those_of_the_code() -> None:
    table = (DOCS / "reference/exit-codes.md").read_text(encoding="utf-8")
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert set(map(int, re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE))) == codes | {0, EXIT_INTERNAL}


def test_every_recipe_is_on_the_page_of_a_paper() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "papers").glob("*.md"))
    skipped = {"quantize.yaml"}  # not from a paper: the shortest recipe from a quantizer to a score
    recipes = {path.name for path in (ROOT / "studies/recipes").glob("*.yaml")} - skipped
    assert not [name for name in recipes if f"studies/recipes/{name}" not in pages]


def test_recipes_point_to_pages_that_exist() -> None:
    for recipe in (ROOT / "studies/recipes").glob("*.yaml"):
        for page in re.findall(r"docs/[\w/-]+\.md", recipe.read_text(encoding="utf-8")):
            assert (ROOT / page).is_file(), f"{recipe.name}: {page}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:\n")[2]
    listed = re.findall(r"([\w/-]+\.md)$", navigation, flags=re.MULTILINE)
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = DOCS / "explanation/decisions"
    listed = re.findall(r"\(([\w-]+\.md)\)", (folder / "index.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(page.name for page in folder.glob("*.md") if page.name != "index.md")


def test_report_sections_have_the_titles_of_the_report() -> None:
    page = (DOCS / "tutorials/reading-a-report.md").read_text(encoding="utf-8")
    report = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bebertlab/report").glob("*.py"))
    titles = re.findall(r"^## (.*)$", page, flags=re.MULTILINE)
    assert titles
    assert not [title for title in titles if f'"{title}' not in report]
    sections = re.findall(r'Section\(\s*title="([^"]+)"', report) + re.findall(
        r'^ +\("(Score [^"]+)",', report, re.MULTILINE
    )
    assert {"Summary", "Score against size", "Learning curves", "How to reproduce"} <= set(sections)
    assert not [section for section in sections if not section.startswith(tuple(titles))]
