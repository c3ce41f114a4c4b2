from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.events import StageResult, TrialRecord, TrialState
from bebertlab.store.store import Store
from bebertlab.study.lookup import artifact_folders, find_studies, find_study


def add(work: Path, folder: str, name: str) -> Path:
    path = work / "studies" / folder
    path.mkdir(parents=True)
    (path / "study.yaml").write_text(f"name: {name}\ndescription: about {name}\n")
    return path


def test_studies_are_listed_by_name(tmp_path: Path) -> None:
    assert find_studies(tmp_path) == ()
    second, first = add(tmp_path, "b-1", "b"), add(tmp_path, "a-1", "a")
    (tmp_path / "studies" / "other").mkdir()
    studies = find_studies(tmp_path)
    assert [(study.name, study.folder, study.description) for study in studies] == [
        ("a", first, "about a"),
        ("b", second, "about b"),
    ]
    assert studies[0].file == first / "study.yaml"


def test_a_study_is_found_by_its_name_or_its_folder(tmp_path: Path) -> None:
    folders = [add(tmp_path, name, "a") for name in ("a-1", "a-2")] + [add(tmp_path, "b-1", "b")]
    assert find_study(tmp_path, "b").folder == folders[2]
    assert find_study(tmp_path, "a-2").folder == folders[1]
    with pytest.raises(UserError, match="2 studies are called 'a'; name a folder: a-1, a-2"):
        find_study(tmp_path, "a")
    with pytest.raises(UserError, match=r"no study 'c' in .*known: a, b"):
        find_study(tmp_path, "c")


def test_artifacts_that_were_removed_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = {"first": "a" * 64, "last": "b" * 64}
    stages = tuple(StageResult(stage=name, stage_kind="k", key=key) for name, key in keys.items())
    trial = TrialRecord(number=0, name="t000", parameters={}, seed=0, state=TrialState.COMPLETE, stages=stages)
    store.folder(keys["last"]).mkdir(parents=True)
    assert artifact_folders(trial, store) == {"last": store.folder(keys["last"])}
