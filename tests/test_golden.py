"""No golden case is skipped silently: each is of a published code whose cases some test requests."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Golden

ASKED = re.compile(r'golden\("(\w+)"\)\.of\(([^)]*)\)|golden_models\(([^)]*)\)')
WORD = re.compile(r'"([^"]+)"')


def requested() -> dict[str, set[str]]:
    """The codes that tests request, by golden file; those of whole models, one file each, by 'model'."""
    actual: dict[str, set[str]] = defaultdict(set)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        for file, codes, codes_of_models in ASKED.findall(path.read_text(encoding="utf-8")):
            actual[file or "model"] |= {*WORD.findall(codes), *WORD.findall(codes_of_models)}
    return actual


def produced(folder: Path, golden: Callable[[str], Golden]) -> Iterator[tuple[str, str, str]]:
    """Of every case: its name, its file (or 'model') and its code."""
    for path in sorted(folder.glob("*.json")):
        vectors = golden(path.stem)
        if path.stem.startswith("model_"):
            yield path.stem, "model", vectors.code()
        else:
            yield from ((f"{path.stem}: {case['name']}", path.stem, vectors.code(case)) for case in vectors.cases)


def test_every_golden_case_is_used_by_a_test(golden: Callable[[str], Golden], golden_folder: Path) -> None:
    cases, expected = list(produced(golden_folder, golden)), requested()
    assert cases
    assert not [(name, code) for name, file, code in cases if code not in expected[file]]
