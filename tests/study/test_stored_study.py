from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.formats import OtherFormat
from bebertlab.study.find import find_study
from bebertlab.study.stored_study import INFO_FILE, check_study_file, read_stored_study, stored_studies
from tests.study.stored import run_little as run

if TYPE_CHECKING:
    from tests.study.conftest import Files


@pytest.fixture
def work(files: Files) -> Path:
    return files.folder / "work"


def test_an_empty_work_folder_has_no_studies(tmp_path: Path) -> None:
    assert stored_studies(tmp_path) == ()
    with pytest.raises(UserError, match="has no studies"):
        find_study("x", tmp_path)
    with pytest.raises(UserError, match="never ran here"):
        read_stored_study(tmp_path / "x")


@pytest.mark.parametrize("number", [None, 0, 2])
def test_a_folder_of_another_format_is_refused_or_skipped(
    files: Files, work: Path, number: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    study = run(files, trials=1)
    info = json.loads((study.folder / INFO_FILE).read_text())
    (study.folder / INFO_FILE).write_text(json.dumps({**info, "format": number}))
    with caplog.at_level(logging.WARNING, "bebertlab"):
        assert stored_studies(work) == ()
    assert "this version reads 1" in caplog.text
    message = r"this version reads 1\); choose another folder with --work"
    with pytest.raises(OtherFormat, match=message):
        read_stored_study(study.folder)
    with pytest.raises(OtherFormat, match=message):
        run(files, trials=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": []}, "objectives: must not be empty"),
        ({"objectives": [{"metric": "validation/score", "goal": "down"}]}, "objectives.0.goal: unknown value 'down'"),
        ({"digest": None}, "digest: expected text, got null"),
        ({"planned": "x"}, "planned: expected an integer"),
        (None, "not valid JSON"),
    ],
)
def test_a_damaged_description_is_refused_or_skipped_with_a_warning(
    files: Files, work: Path, changes: dict[str, object] | None, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    study, other = run(files, trials=1), run(files, "trunk.rate=3", trials=1)
    path = study.folder / INFO_FILE
    path.write_text("{" if changes is None else json.dumps({**json.loads(path.read_text()), **changes}))
    with caplog.at_level(logging.WARNING, "bebertlab"):
        assert stored_studies(work) == (other,)
    assert message in caplog.text
    with pytest.raises(UserError, match=f"study.json: .*{message}.*; delete this study's folder"):
        read_stored_study(study.folder)


def test_a_folder_without_a_format_number_is_refused(files: Files) -> None:
    study = run(files, trials=1)
    (study.folder / INFO_FILE).unlink()
    with pytest.raises(OtherFormat, match=r"older bebertlab \(without a format number"):
        read_stored_study(study.folder)


def test_a_study_knows_whether_it_is_a_smoke_run(files: Files, work: Path) -> None:
    smoke, full = run(files, trials=1), run(files, trials=1, smoke=False)
    assert (smoke.is_smoke, full.is_smoke) == (True, False)
    assert "is_smoke: true" in smoke.file.read_text()
    path = smoke.folder / INFO_FILE
    info = json.loads(path.read_text())
    del info["is_smoke"]  # as it was written before there was this entry
    path.write_text(json.dumps(info))
    assert not read_stored_study(smoke.folder).is_smoke


def test_the_file_of_a_study_folder_is_refused_with_its_format(files: Files, tmp_path: Path) -> None:
    study = run(files, trials=1)
    check_study_file(study.file)
    info = json.loads((study.folder / INFO_FILE).read_text())
    (study.folder / INFO_FILE).write_text(json.dumps({**info, "format": 0}))
    with pytest.raises(OtherFormat, match=r"format 0, this version reads 1\); choose another folder with --work"):
        check_study_file(study.file)
    (study.folder / INFO_FILE).unlink()
    with pytest.raises(OtherFormat, match=r"without a format number, this version reads 1"):
        check_study_file(study.file)


def test_a_file_of_a_user_may_have_the_name_of_a_file_in_study_folders(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("name: mine")
    check_study_file(tmp_path / "study.yaml")
