from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from bebertlab.config.yaml import to_yaml
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.sampler import Objective
from bebertlab.tracking.mlflow_client import connect, default_uri
from bebertlab.tracking.mlflow_runs import (
    CurvePoint,
    Runs,
    best_point,
    description,
    metrics_of,
    name_of,
    parameters_of,
    study_summary,
    study_tags,
    trial_tags,
)

Read = Callable[[], list[Any]]


@pytest.fixture
def opened(database: Path, study: StudyRecord) -> Callable[[], Runs]:
    """Opens the study's runs as a new process would."""
    return lambda: Runs(connect(f"sqlite:///{database}", study.work), study, "bebertlab/tiny_study")


def _started(trial: TrialRecord) -> TrialRecord:
    return evolve(trial, state=TrialState.RUNNING, metrics={}, seconds=0.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_trial_is_a_complete_child_run(
    opened: Callable[[], Runs], runs: Read, study: StudyRecord, trials: tuple[TrialRecord, ...]
) -> None:
    runs_of_study = opened()
    runs_of_study.begin()
    runs_of_study.start(_started(trials[2]))
    assert [run.info.status for run in runs()] == ["RUNNING", "RUNNING"]
    runs_of_study.finish(trials[2])
    parent, child = runs()
    assert parent.info.run_name == "tiny_study@abcdef12"
    identity = {"task": "minigrammar/acceptability", "encoder": "tiny", "recipe": "bebert"}
    assert parent.data.params == {**identity, "task.size": "40", "half.width": "0.5"}
    assert child.info.run_name == trials[2].name
    assert child.info.status == "FINISHED"
    assert child.data.params == {**identity, "members.size": "2", "seed": "0"}
    assert child.data.metrics == {**trials[2].metrics, "seconds": 1.5}
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["bebertlab.stage.members.1"] == "key of members.1 0"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_needed_to_reproduce_a_study_is_logged(study: StudyRecord, database: Path) -> None:
    names = ("plugins/mine.py", "plugins/2/parts/__init__.py")
    for name in names:
        path = study.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    Runs(connect(f"sqlite:///{database}", study.work), evolve(study, plugin_files=names), "bebertlab/x")
    (resolved,) = (study.work / "mlartifacts").rglob("study.yaml")
    assert resolved.read_text() == to_yaml(study.resolved)
    assert all((resolved.parent / name).read_text() == f"# {name}\n" for name in names)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_many_settings_are_logged(opened: Callable[[], Runs], runs: Read, study: StudyRecord, database: Path) -> None:
    resolved = {"recipe": {f"option{number}": number for number in range(250)}}
    Runs(connect(f"sqlite:///{database}", study.work), evolve(study, resolved=resolved), "bebertlab/x")
    assert len(runs()[0].data.params) == 250 + len(study.identity)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_new_process_reuses_the_runs_of_a_killed_one(
    opened: Callable[[], Runs], runs: Read, trials: tuple[TrialRecord, ...]
) -> None:
    first = opened()
    first.start(_started(trials[0]))
    first.finish(trials[0])
    first.start(_started(trials[1]))
    before = {run.info.run_id for run in runs()}
    second = opened()
    assert second.parent == first.parent
    assert second.has(trials[0])
    assert not second.has(trials[1])
    for trial in trials[:2]:
        second.start(_started(trial))
        second.finish(trial)
    assert {run.info.run_id for run in runs()} == before
    assert {run.info.status for run in runs()[1:]} == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_unchanged_values_are_not_logged_again(
    opened: Callable[[], Runs], database: Path, study: StudyRecord, trials: tuple[TrialRecord, ...], runs: Read
) -> None:
    opened().finish(trials[0])
    again = opened()
    again.finish(evolve(trials[0], metrics={**trials[0].metrics, "validation/accuracy": 5.0}))
    client = connect(default_uri(study.work), study.work)
    child = runs()[1].info.run_id
    assert len(client.get_metric_history(child, "validation/score")) == 1
    assert [item.value for item in client.get_metric_history(child, "validation/accuracy")] == [81.0, 5.0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_parameters_are_logged_once(
    opened: Callable[[], Runs], trials: tuple[TrialRecord, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    opened().finish(trials[0])
    logged: list[object] = []
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *args, **more: logged.extend(more["params"]))
    opened().finish(trials[0])
    assert logged == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_failed_trial_has_its_error_until_it_succeeds(
    opened: Callable[[], Runs], runs: Read, trials: tuple[TrialRecord, ...]
) -> None:
    opened().finish(evolve(trials[0], state=TrialState.FAILED, metrics={}, error="binary: NaN"))
    child = runs()[1]
    assert child.info.status == "FAILED"
    assert child.data.tags["bebertlab.error"] == "binary: NaN"
    again = opened()
    again.start(_started(trials[0]))
    again.finish(trials[0])
    child = runs()[1]
    assert child.info.status == "FINISHED"
    assert not {"bebertlab.error", "mlflow.note.content"} & child.data.tags.keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_curves_are_written_with_their_steps_also_to_a_finished_run(
    opened: Callable[[], Runs], runs: Read, database: Path, study: StudyRecord, trials: tuple[TrialRecord, ...]
) -> None:
    name = "curve/members.0/train/loss"
    points = [CurvePoint(name=name, value=1 / step, step=step, milliseconds=1000 + step) for step in range(1, 1501)]
    runs_of_study = opened()
    runs_of_study.log_curve(_started(trials[0]), points[:1200])
    runs_of_study.finish(trials[0])
    runs_of_study.log_curve(trials[0], points[1200:])
    child = runs()[1]
    assert child.info.status == "FINISHED"
    client = connect(default_uri(study.work), study.work)
    history = client.get_metric_history(child.info.run_id, name)
    assert sorted((item.step, item.value) for item in history) == [(point.step, point.value) for point in points]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_end_of_a_study_is_logged(
    opened: Callable[[], Runs], runs: Read, study: StudyRecord, trials: tuple[TrialRecord, ...], tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    report.write_text("# tiny_study\n\nBest: 2 members\n", encoding="utf-8")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "points.svg").write_text("<svg/>", encoding="utf-8")
    runs_of_study = opened()
    for trial in trials:
        runs_of_study.finish(trial)
    runs_of_study.end(trials, [report])
    parent = runs()[0]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["validation/score"] == pytest.approx(82.05)
    assert parent.data.tags["mlflow.note.content"].startswith("# tiny_study")
    files = {path.name for path in (study.work / "mlartifacts" / "tiny_study").rglob("*") if path.is_file()}
    assert files == {"report.md", "points.svg", "study.yaml"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_stopped_study_leaves_no_run_in_state_running(
    opened: Callable[[], Runs], runs: Read, trials: tuple[TrialRecord, ...]
) -> None:
    runs_of_study = opened()
    runs_of_study.begin()
    runs_of_study.start(_started(trials[0]))
    runs_of_study.end([evolve(trials[0], state=TrialState.WAITING)], [])
    assert [run.info.status for run in runs()] == ["KILLED", "KILLED"]
    again = opened()
    again.begin()
    again.start(_started(trials[0]))
    assert [run.info.status for run in runs()] == ["RUNNING", "RUNNING"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_another_digest_is_another_run_of_the_same_experiment(
    opened: Callable[[], Runs], runs: Read, database: Path, study: StudyRecord
) -> None:
    opened()
    other = evolve(study, digest="12345678" + "0" * 56)
    Runs(connect(f"sqlite:///{database}", study.work), other, "bebertlab/tiny_study")
    assert [run.info.run_name for run in runs()] == ["tiny_study@12345678", "tiny_study@abcdef12"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_deleted_experiment_is_restored(opened: Callable[[], Runs], study: StudyRecord, runs: Read) -> None:
    first = opened()
    connect(default_uri(study.work), study.work).delete_experiment(first.experiment)
    assert opened().experiment == first.experiment
    assert len(runs()) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_many_stages_and_unusual_values_are_logged(
    opened: Callable[[], Runs], runs: Read, trials: tuple[TrialRecord, ...]
) -> None:
    stages = tuple(evolve(trials[0].stages[0], stage=f"members.{position}") for position in range(250))
    scheme = {"kind": "binarybert", "bits": [1, 8]}
    odd = evolve(trials[0], stages=stages, parameters={"x[0]": scheme}, metrics={"validation/score": float("nan")})
    opened().finish(odd)
    child = runs()[1]
    assert sum(name.startswith("bebertlab.stage.") for name in child.data.tags) == 250
    assert json.loads(child.data.params["x_0_"]) == scheme


@pytest.mark.parametrize(
    ("text", "name"),
    [("validation/score", "validation/score"), ("a[0]|b", "a_0__b"), ("x" * 400, "x" * 250), ("é", "_")],
)
def test_names_are_valid_for_mlflow(text: str, name: str) -> None:
    assert name_of(text) == name


def test_parameters_are_short_texts() -> None:
    parameters = parameters_of({"a": 0.001, "b": [1, 2], "c": None, "d": "y" * 9000, "e": Path("x")})
    assert (parameters["a"], parameters["b"], parameters["c"], parameters["e"]) == ("0.001", "[1, 2]", "null", '"x"')
    assert len(parameters["d"]) == 6000
    assert metrics_of({"a|b": 1}) == {"a_b": 1.0}


def test_tags_name_study_and_stages(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    assert study_tags(study)["bebertlab.digest"] == study.digest
    tags = trial_tags(study, trials[2])
    assert tags["bebertlab.stage.members.1"] == "key of members.1 0"
    assert tags["bebertlab.caveats"] == "generated"
    assert trial_tags(evolve(study, caveats=()), trials[2])["bebertlab.caveats"] == "none"
    assert "bebertlab.error" not in tags
    failed = trial_tags(study, evolve(trials[2], state=TrialState.FAILED, error="NaN"))
    assert failed["bebertlab.error"] == "NaN"
    assert failed["mlflow.note.content"] == "Failed: NaN"


def test_the_best_point_is_the_best_mean(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    best = best_point(study, trials)
    assert best is not None
    assert best[0] == "members.size=2"
    assert best[1] == pytest.approx(82.05)
    lowest = best_point(evolve(study, objectives=(Objective(goal="minimize"),)), trials)
    assert lowest is not None
    assert lowest[0] == "members.size=1"
    lost = [evolve(item, metrics={"validation/score": math.nan}) for item in trials]
    assert best_point(study, lost) is None


def test_the_status_of_a_study_is_a_tag(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    failed = tuple(evolve(item, state=TrialState.FAILED, metrics={}) for item in trials)
    statuses = [
        study_summary(study, notified, ())[2] for notified in (trials, (failed[0], *trials[1:]), failed, trials[:2], ())
    ]
    assert statuses == ["FINISHED", "FINISHED", "FAILED", "KILLED", "KILLED"]
    values, tags, _ = study_summary(study, (failed[0], *trials[1:]), ())
    assert (values["trials/complete"], values["trials/failed"]) == (3.0, 1.0)
    assert values["validation/score"] == pytest.approx(82.05)
    assert tags["mlflow.note.content"] == "Two sizes, two seeds"


def test_a_long_report_is_cut_between_lines(study: StudyRecord, tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    lines = ["# tiny_study", "![plot](plots/a.svg)", *(f"| {position} | {'x' * 50} |" for position in range(400))]
    page.write_text("\n".join(lines), encoding="utf-8")
    note = description(study, [tmp_path / "report.html", page])
    assert len(note) <= 8000
    assert note.startswith("# tiny_study\n| 0 |")
    assert note.endswith("report.html has the plots.*\n")
    assert f"| {'x' * 50} |\n\n*Continued" in note


def test_a_short_report_is_the_complete_description(study: StudyRecord, tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    page.write_text("# short\n", encoding="utf-8")
    assert description(study, [page]) == "# short\n"
    assert description(study, []) == study.description
    assert description(study, [tmp_path / "gone.md"]) == study.description
