"""Names of studies, trials and stages, over small studies of fakes."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.formats import OtherFormat
from bebertlab.interfaces.events import TrialState
from bebertlab.interfaces.stage import Artifact
from bebertlab.store.store import Store
from bebertlab.study.context import StudyContext
from bebertlab.study.driver import Limits
from bebertlab.study.find import (
    INFO_FILE,
    StoredStudy,
    choose_best,
    find_key,
    find_model,
    find_study,
    find_study_file,
    read_stored_study,
    stored_studies,
    study_status,
)
from bebertlab.study.journal import open_journal, read_records
from bebertlab.study.run import Workers, run_study

if TYPE_CHECKING:
    from tests.study.conftest import Files

LOCAL = Workers(kind="local", jobs=1, threads=1, device="cpu")


def run(files: Files, *sets: str, trials: int | None = None) -> StoredStudy:
    context = StudyContext(files.read(*sets, smoke=True), files.folder / "work")
    run_study(context, LOCAL, lambda study, trials: (), Limits(max_trials=trials))
    return read_stored_study(context.folder)


@pytest.fixture
def work(files: Files) -> Path:
    return files.folder / "work"


def test_a_study_is_found_by_its_name_label_or_folder(files: Files, work: Path) -> None:
    study = run(files, trials=1)
    assert study.label == study.folder.name.replace("-", "@")
    for name in ("little", study.label, "little@", study.label[:-3], study.folder.name):
        assert find_study(name, work) == study
    assert find_study_file("little", work) == study.folder / "study.yaml"
    assert find_study_file("study.yaml", work) == Path("study.yaml")


def test_of_several_studies_with_a_name_the_latest_counts(
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


def test_an_empty_work_folder_has_no_studies(tmp_path: Path) -> None:
    assert stored_studies(tmp_path) == ()
    with pytest.raises(UserError, match="has no studies"):
        find_study("x", tmp_path)
    with pytest.raises(UserError, match="never ran here"):
        read_stored_study(tmp_path / "x")


@pytest.mark.parametrize("number", [None, 0, 2])
def test_a_folder_of_another_format_is_refused_and_left_out(
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
def test_a_damaged_description_is_refused_and_left_out_with_a_warning(
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


def test_a_folder_from_before_formats_had_numbers_is_refused(files: Files) -> None:
    study = run(files, trials=1)
    (study.folder / INFO_FILE).unlink()
    with pytest.raises(OtherFormat, match=r"older bebertlab \(without a format number"):
        read_stored_study(study.folder)


def test_the_state_of_a_study_follows_its_trials(files: Files) -> None:
    study = run(files, trials=1)
    status = study_status(study)
    assert (status.state, status.complete, status.failed, status.trials) == ("incomplete", 1, 0, 5)
    loaded = files.read(smoke=True).study
    with open_journal(loaded, study.folder):
        assert study_status(study).state == "running"
    run(files)
    status = study_status(study)
    assert (status.state, status.complete) == ("complete", 5)
    best = choose_best(study)
    assert status.best == best.values[0]


def test_the_best_point_has_the_best_mean_and_its_best_trial(files: Files) -> None:
    study = run(files, "seeds=[0, 1]")
    trials = [trial for trial in read_records(study.folder) if trial.state is TrialState.COMPLETE]
    metric = study.objectives[0].metric
    means: dict[str, float] = {}
    for trial in trials:
        point = str(dict(trial.parameters))
        means[point] = means.get(point, 0.0) + trial.metrics[metric] / 2
    best = choose_best(study)
    assert best.values[0] == pytest.approx(max(means.values()))
    assert best.points == 5
    assert [trial.seed for trial in best.trials] == [0, 1]
    assert best.trial.metrics[metric] == max(trial.metrics[metric] for trial in best.trials)
    assert choose_best(study, 0).trial.seed == 0
    with pytest.raises(UserError, match="no complete trial with seed 7; known: 0, 1"):
        choose_best(study, 7)


def test_a_stage_is_found_by_key_name_and_trial(files: Files, work: Path) -> None:
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


def build(store: Store, key: str, stage: str, inputs: object, *, model: bool) -> Artifact:
    with store.claim(key) as claim:
        if model:
            (claim.folder / "config.json").write_text("{}")
        return claim.commit(stage=stage, kind="k", parts={"inputs": inputs}, seconds=0.0, upstream_seconds={})


def test_a_stage_without_a_model_stands_for_the_only_model_upstream(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    teacher, one, two, merge, score = ("aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32, "ee" * 32)
    build(store, teacher, "teacher", {}, model=True)
    first = build(store, one, "members.0", {"teacher": teacher}, model=True)
    build(store, two, "members.1", {"teacher": teacher}, model=True)
    build(store, merge, "merge", {"of": [one]}, model=False)
    build(store, score, "score", {"of": [one, two], "other": None}, model=False)
    assert find_model(str(tmp_path), tmp_path) == tmp_path
    assert find_model("members.0", tmp_path) == find_model("dddd", tmp_path) == first.folder
    with pytest.raises(UserError, match=r"'score' was built from 2 models; choose one of members\.0 \(bbbbbbbbbbbb\)"):
        find_model("score", tmp_path)
    build(store, "bb" + "cc" * 31, "alone", {}, model=False)
    with pytest.raises(UserError, match="stage 'alone' has no model"):
        find_model("alone", tmp_path)
    with pytest.raises(UserError, match="unknown stage or key"):
        find_key("bb", tmp_path)
    build(store, "bbbb" + "cc" * 30, "last", {}, model=False)
    with pytest.raises(UserError, match="'bbbb' is the beginning of 2 keys"):
        find_key("bbbb", tmp_path)
