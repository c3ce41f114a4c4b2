from __future__ import annotations

import math
from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.sampler import Objective
from bebertlab.tracking.mlflow_values import (
    best_point,
    description,
    metrics_of,
    name_of,
    parameters_of,
    study_summary,
    study_tags,
    trial_tags,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [("validation/score", "validation/score"), ("a[0]|b", "a_0__b"), ("x" * 400, "x" * 250), ("é", "_")],
)
def test_names(text: str, name: str) -> None:
    assert name_of(text) == name


def test_parameters_are_short_texts() -> None:
    made = parameters_of({"a": 0.001, "b": [1, 2], "c": None, "d": "y" * 9000, "e": Path("x")})
    assert (made["a"], made["b"], made["c"], made["e"]) == ("0.001", "[1, 2]", "null", '"x"')
    assert len(made["d"]) == 6000
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
    lost = [evolve(one, metrics={"validation/score": math.nan}) for one in trials]
    assert best_point(study, lost) is None


def test_status_of_the_study(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    failed = tuple(evolve(one, state=TrialState.FAILED, metrics={}) for one in trials)
    statuses = [
        study_summary(study, told, ())[2] for told in (trials, (failed[0], *trials[1:]), failed, trials[:2], ())
    ]
    assert statuses == ["FINISHED", "FINISHED", "FAILED", "KILLED", "KILLED"]
    values, tags, _ = study_summary(study, (failed[0], *trials[1:]), ())
    assert (values["trials/complete"], values["trials/failed"]) == (3.0, 1.0)
    assert values["validation/score"] == pytest.approx(82.05)
    assert tags["mlflow.note.content"] == "Two sizes, two seeds"


def test_a_long_report_is_cut_between_lines(study: StudyRecord, tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    lines = ["# tiny_study", "![plot](plots/a.svg)", *(f"| {place} | {'x' * 50} |" for place in range(400))]
    page.write_text("\n".join(lines), encoding="utf-8")
    note = description(study, [tmp_path / "report.html", page])
    assert len(note) <= 8000
    assert note.startswith("# tiny_study\n| 0 |")
    assert note.endswith("report.html has the plots.*\n")
    assert f"| {'x' * 50} |\n\n*Continued" in note


def test_a_short_report_is_the_whole_description(study: StudyRecord, tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    page.write_text("# short\n", encoding="utf-8")
    assert description(study, [page]) == "# short\n"
    assert description(study, []) == study.description
    assert description(study, [tmp_path / "gone.md"]) == study.description
