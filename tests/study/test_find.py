"""Names of studies, trials and stages, over small studies of fakes."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.stage import Artifact
from bebertlab.store.store import Store
from bebertlab.study.find import find_key, find_model, find_study, find_study_file
from bebertlab.study.journal import read_records
from bebertlab.study.stored_study import stored_studies
from tests.study.stored import run_little as run

if TYPE_CHECKING:
    from tests.study.conftest import Files


@pytest.fixture
def work(files: Files) -> Path:
    return files.folder / "work"


def test_a_study_is_looked_up_by_name_label_or_folder(files: Files, work: Path) -> None:
    study = run(files, trials=1)
    assert study.label == study.folder.name.replace("-", "@")
    for name in ("little", study.label, "little@", study.label[:-3], study.folder.name):
        assert find_study(name, work) == study
    assert find_study_file("little", work) == study.folder / "study.yaml"
    assert find_study_file("study.yaml", work) == Path("study.yaml")


def test_the_latest_of_several_studies_with_a_name_is_used(
    files: Files, work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = run(files, trials=1), run(files, "trunk.rate=3", trials=1)
    for file in second.folder.iterdir():
        os.utime(file, (1e9, 1e9))
    with caplog.at_level(logging.WARNING, "bebertlab"):
        assert find_study("little", work) == first
    assert f"several studies are named little; this is the latest, {first.label}" in caplog.text
    assert find_study(second.label, work) == second
    assert stored_studies(work) == (second, first)


def test_a_full_study_is_preferred_to_a_smoke_run(files: Files, work: Path, caplog: pytest.LogCaptureFixture) -> None:
    smoke = run(files, trials=1)
    with caplog.at_level(logging.WARNING, "bebertlab"):
        assert find_study("little", work) == smoke
    assert f"{smoke.label} is a smoke run (--smoke); no full run of little" in caplog.text
    full = run(files, trials=1, smoke=False)
    for file in full.folder.glob("*.*"):
        os.utime(file, (1e9, 1e9))
    assert stored_studies(work)[-1] == smoke
    caplog.clear()
    with caplog.at_level(logging.WARNING, "bebertlab"):
        assert find_study("little", work) == full
    assert f"this is the latest full one, {full.label} (others: {smoke.label} (smoke run))" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "bebertlab"):
        assert find_study(smoke.label, work) == smoke
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("litle", "unknown study 'litle' in .*work; did you mean 'little'"),
        ("nowhere.yaml", "nowhere.yaml: no such file"),
        ("a/b", "a/b: no such file"),
        ("", "unknown study '' in"),
        ("x" * 5000, "unknown study 'xxx"),
        ("work", "work: is a folder, expected a file or the name of a study"),
    ],
)
def test_unknown_studies_are_errors_with_suggestions(files: Files, work: Path, name: str, message: str) -> None:
    run(files, trials=1)
    with pytest.raises(UserError, match=message):
        find_study_file(name, work)


def test_a_stage_is_looked_up_by_key_name_and_trial(files: Files, work: Path) -> None:
    study = run(
        files,
        "exclude=[]",
        "search.members.size={choice: [1]}",
        "search.members.ensemble={choice: [bagging]}",
        "questions=[]",
    )
    (trial,) = read_records(study.folder)
    keys = {stage.stage: stage.key for stage in trial.stages}
    for name, stage in (
        (keys["trunk"], "trunk"),
        (keys["trunk"][:8], "trunk"),
        ("trunk", "trunk"),
        (f"little/{trial.id}/trunk", "trunk"),
        (f"little/{trial.number}/members", "members.0"),
        (f"{study.label}/best/members.0", "members.0"),
        ("little/best", "score"),
        ("little:best", "score"),
        (f"little:{trial.id}:members.0", "members.0"),
    ):
        assert find_key(name, work) == keys[stage]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trnk", "unknown stage or key 'trnk' in .*store; did you mean 'trunk'"),
        ("litle/best", "unknown study 'litle'"),
        ("little/t099", "unknown trial 't099' of study little@.*; known: best, t000 to t004"),
        ("little/best/trnk", r"unknown stage 'trnk' of trial t00\d; did you mean 'trunk'"),
        ("little/t000", "trial t000 is waiting and has no finished stages"),
    ],
)
def test_unknown_stages_are_errors_with_suggestions(files: Files, work: Path, name: str, message: str) -> None:
    run(files, trials=1)
    with pytest.raises(UserError, match=message):
        find_key(name, work)


def test_a_removed_stage_is_an_error(files: Files, work: Path) -> None:
    run(files, trials=1)
    folder = Store(work / "store").folder(find_key("little/best", work))
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"not in .*store; run the study again to build it"):
        find_key("little/best", work)


def build(store: Store, key: str, stage: str, inputs: object, *, model: bool, packed: bool = False) -> Artifact:
    with store.claim(key) as claim:
        if model:
            (claim.folder / "config.json").write_text("{}")
        if packed:
            (claim.folder / "packed").mkdir()
            (claim.folder / "packed" / "config.json").write_text("{}")
        return claim.commit(stage=stage, kind="k", parts={"inputs": inputs}, seconds=0.0, upstream_seconds={})


def test_a_stage_without_a_model_resolves_to_the_only_model_upstream(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    teacher, item, two, merge, score = ("aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32, "ee" * 32)
    build(store, teacher, "teacher", {}, model=True)
    first = build(store, item, "members.0", {"teacher": teacher}, model=True)
    build(store, two, "members.1", {"teacher": teacher}, model=True)
    build(store, merge, "merge", {"of": [item]}, model=False)
    build(store, score, "score", {"of": [item, two], "other": None}, model=False)
    assert find_model(str(tmp_path), tmp_path) == tmp_path
    (tmp_path / "file").touch()
    for path, error in ((tmp_path / "file", "is a file, expected a folder"), (tmp_path / "none", "no such folder")):
        with pytest.raises(UserError, match=error):
            find_model(str(path), tmp_path)
    assert find_model("members.0", tmp_path) == find_model("dddd", tmp_path) == first.folder
    with pytest.raises(UserError, match=r"'score' was built from 2 models; choose one of members\.0 \(bbbbbbbbbbbb\)"):
        find_model("score", tmp_path)
    folder = build(store, "ff" * 32, "packed", {"of": [merge], "members": [item]}, model=False, packed=True).folder
    assert find_model("packed", tmp_path) == folder / "packed"
    build(store, "ab" * 32, "both", {"of": [merge], "packed": ["ff" * 32]}, model=False)
    assert find_model("both", tmp_path) == first.folder
    build(store, "bb" + "cc" * 31, "alone", {}, model=False)
    with pytest.raises(UserError, match="stage 'alone' has no model"):
        find_model("alone", tmp_path)
    with pytest.raises(UserError, match="unknown stage or key"):
        find_key("bb", tmp_path)
    build(store, "bbbb" + "cc" * 30, "last", {}, model=False)
    with pytest.raises(UserError, match="'bbbb' is the beginning of 2 keys"):
        find_key("bbbb", tmp_path)
