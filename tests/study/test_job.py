from __future__ import annotations

import json
from pathlib import Path

from bebertlab.interfaces.events import StageEvent
from bebertlab.study.job import JobDefaults, PlannedTrial


def test_a_job_is_plain_data_with_all_that_a_worker_needs() -> None:
    stages = tuple(StageEvent(stage=key, stage_kind="fake", key=key) for key in ("a", "b"))
    planned = PlannedTrial(recipe={"task": "fake"}, stages=stages, result="b")
    job = JobDefaults(metric="validation/score", store=Path("/s"), plugins=("/p.py",), device="cuda").job(7, planned)
    assert json.loads(json.dumps(job)) == job
    assert job == {
        "number": 7,
        "recipe": {"task": "fake"},
        "result": "b",
        "metric": "validation/score",
        "store": "/s",
        "plugins": ["/p.py"],
        "threads": 1,
        "device": "cuda",
    }
    assert planned.keys == {"a", "b"}
