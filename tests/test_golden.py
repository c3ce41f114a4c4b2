"""No golden case is passed over in silence: each is of a published code whose cases some test asks for."""

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


def asked() -> dict[str, set[str]]:
    """The codes that tests ask for, by golden file; those of the models, each a file of its own, by 'model'."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        for file, codes, codes_of_models in ASKED.findall(path.read_text(encoding="utf-8")):
            found[file or "model"] |= {*WORD.findall(codes), *WORD.findall(codes_of_models)}
    return found


def produced(folder: Path, golden: Callable[[str], Golden]) -> Iterator[tuple[str, str, str]]:
    """Of every case: its name, its file (or 'model') and its code."""
    for path in sorted(folder.glob("*.json")):
        vectors = golden(path.stem)
        if path.stem.startswith("model_"):
            yield path.stem, "model", vectors.code()
        else:
            yield from ((f"{path.stem}: {case['name']}", path.stem, vectors.code(case)) for case in vectors.cases)


def test_every_case_is_of_a_code_that_a_test_asks_for(golden: Callable[[str], Golden], golden_folder: Path) -> None:
    cases, wanted = list(produced(golden_folder, golden)), asked()
    assert cases
    assert not [(name, code) for name, file, code in cases if code not in wanted[file]]
