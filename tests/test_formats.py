from __future__ import annotations

from pathlib import Path
from typing import get_args

import attrs
import pytest

from bebertlab.errors import EXIT_USAGE
from bebertlab.formats import FORMATS, STORE_MANIFEST, STUDY_FILE, Format, OtherFormat
from bebertlab.pipeline.recipe import Recipe
from bebertlab.study.study import Study


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_only_the_current_number_is_accepted(kind: Format) -> None:
    kind.check(kind.number, Path("file"))
    assert kind.matches(kind.number)
    for number in (kind.number - 1, kind.number + 1, str(kind.number), float(kind.number), None, True):
        assert not kind.matches(number)
        with pytest.raises(OtherFormat):
            kind.check(number, Path("file"))


@pytest.mark.parametrize(
    ("number", "writer"),
    [
        (STORE_MANIFEST.number - 1, "an older bebertlab (format 2, this version reads 3)"),
        (STORE_MANIFEST.number + 1, "a newer bebertlab (format 4, this version reads 3)"),
        (None, "an older bebertlab (without a format number, this version reads 3)"),
        ("x", "an older bebertlab (format 'x', this version reads 3)"),
    ],
)
def test_the_error_names_the_file_the_writer_and_a_remedy(number: object, writer: str) -> None:
    with pytest.raises(OtherFormat) as caught:
        STORE_MANIFEST.check(number, Path("a/manifest.json"))
    assert str(caught.value) == f"a/manifest.json: written by {writer}; {STORE_MANIFEST.remedy}"
    assert caught.value.exit_code == EXIT_USAGE


def test_every_format_is_listed_once() -> None:
    assert len({kind.path for kind in FORMATS}) == len({kind.name for kind in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize("cls", [Study, Recipe])
def test_the_schema_version_of_yaml_files_is_the_listed_one(cls: type) -> None:
    assert get_args(attrs.fields_dict(attrs.resolve_types(cls))["schema_version"].type) == (STUDY_FILE.number,)
