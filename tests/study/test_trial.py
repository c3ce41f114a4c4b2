from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.interfaces.events import StageEvent, StageFinished, TrialState
from bebertlab.pipeline.plan import ComputeSettings
from bebertlab.store.store import Claim
from bebertlab.study.messages import JobDefaults, TrialJob, TrialOutcome, dump, load
from bebertlab.study.planner import Planner, planned, recipe_at
from bebertlab.study.trial import TrialRunner

if TYPE_CHECKING:
    from tests.study.conftest import Files


def job(files: Files, *sets: str) -> TrialJob:
    source = files.read("members.ensemble=bagging", "members.size=2", *sets)
    recipe = recipe_at(source.study, {}, 0, source.plugins.registry)
    plan = planned(Planner(source.plugins, ComputeSettings()).plan(recipe), recipe)
    defaults = JobDefaults(
        metrics=tuple(goal.metric for goal in source.study.goals),
        store=files.folder / "store",
        plugins=tuple(map(Path, source.study.plugins)),
    )
    return load(json.loads(json.dumps(dump(defaults.job(3, plan)))), TrialJob)


def run(job: TrialJob, runner: TrialRunner | None = None) -> tuple[TrialOutcome, list[StageEvent]]:
    events: list[StageEvent] = []
    outcome = (runner or TrialRunner()).run(job, events.append)
    return load(json.loads(json.dumps(dump(outcome))), TrialOutcome), events


def test_an_outcome_has_the_metrics_and_every_stage(files: Files) -> None:
    outcome, events = run(job(files))
    assert (outcome.state, outcome.error, outcome.failed_key) == (TrialState.COMPLETE, None, None)
    assert outcome.metrics["validation/score"] == 20.0  # 1 + (1 + 1 + 7) + (1 + 2 + 7)
    # the stage writes a score without those of majority and chance
    assert outcome.metrics["majority/validation_accuracy"] == outcome.metrics["chance/validation_score"] == 1.0
    assert [stage.stage for stage in outcome.stages] == ["trunk", "members.0", "members.1", "score"]
    assert {event.trial for event in events} == {3}
    assert outcome.seconds == pytest.approx(sum(stage.seconds for stage in outcome.stages))


def test_cached_stages_take_no_time_and_are_reported(files: Files) -> None:
    runner = TrialRunner()
    first, _ = run(job(files), runner)
    again, events = run(job(files), runner)
    assert again.metrics == first.metrics
    assert (first.device, again.device, again.seconds) == ("cpu", None, 0)
    assert all(isinstance(event, StageFinished) and event.stored for event in events)


def test_a_stage_that_raises_is_named_and_the_stages_before_it_are_kept(files: Files) -> None:
    outcome, events = run(job(files, "score.fault=raise", "score.size=2"))
    assert outcome.state is TrialState.FAILED
    assert outcome.error == "stage score (fake): ValueError: size 2 is broken"
    assert [stage.stage for stage in outcome.stages] == ["trunk", "members.0", "members.1"]
    assert outcome.failed_key == next(event.key for event in events if event.stage == "score")
    assert 'raise ValueError("size 2 is broken")' in str(outcome.traceback)


@pytest.mark.parametrize(
    ("sets", "error"),
    [
        (("score.fault=nan", "score.size=2"), "validation/score is nan"),
        (("score.fault=silent",), "the result has no metric 'validation/score'; known: cost/members_seconds"),
        (
            ("objective.metric=validation/scroe",),
            "the result has no metric 'validation/scroe'; did you mean 'validation/sc",
        ),
    ],
)
def test_a_result_without_a_number_is_a_failure(files: Files, sets: tuple[str, ...], error: str) -> None:
    outcome, _ = run(job(files, *sets))
    assert outcome.state is TrialState.FAILED
    assert str(outcome.error).startswith(error)
    assert outcome.failed_key is None
    assert len(outcome.stages) == 4


def test_a_full_disk_is_named(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Claim, **facts: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Claim, "commit", fail)
    outcome, _ = run(job(files))
    assert outcome.disk_full is True
    assert str(outcome.error).startswith(
        f"stage trunk (fake): the disk of the work folder is full: {files.folder}; free some space"
    )


def test_a_worker_with_another_plan_reports_it(files: Files) -> None:
    asked = job(files)
    parts = Path(files.folder / "parts.py")
    parts.write_text(parts.read_text() + "\n# edited while the study runs\n")
    outcome, events = run(asked)
    assert str(outcome.error).startswith("the worker plans this trial differently from the driver")
    assert events == []


def test_a_result_without_the_metric_differs_from_other_failures(files: Files) -> None:
    assert run(job(files, "objective.metric=validation/scroe"))[0].metric_missing is True
    assert run(job(files, "score.fault=nan", "score.size=2"))[0].metric_missing is False
