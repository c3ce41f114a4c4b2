from __future__ import annotations

import json

from bebertlab.bench.clock import Ratio
from bebertlab.bench.machine import machine
from bebertlab.bench.parts import ModelPart
from bebertlab.bench.profile import StepProfile
from bebertlab.bench.report import profile_report, report
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.rows.allocations import Extra
from bebertlab.bench.setting import Setting

GOAL = Goal(name="a.goal", what="with a goal", better="lower", goal=1.3)
NEWS = Goal(name="a.news", what="for information", better="higher")
AWAY = Goal(name="a.away", what="not here", better="higher", goal=2.0)


def test_rows_have_a_goal_and_the_others_are_apart(setting: Setting) -> None:
    found: list[Finding] = [
        Row(target=GOAL, ratio=Ratio.of([1.2, 1.5, 1.1]), note="6 ms / 5 ms"),
        Row(target=NEWS, ratio=Ratio.of([3.0])),
        Missing(target=AWAY, reason="needs a GPU"),
    ]
    data = json.loads(json.dumps(report(found, machine(setting))))
    assert data["rows"] == [
        {
            "row": "a.goal",
            "what": "with a goal",
            "ratio": 1.2,
            "low": 1.1,
            "high": 1.5,
            "goal": 1.3,
            "better": "lower",
            "met": True,
            "note": "6 ms / 5 ms",
        }
    ]
    assert [row["row"] for row in data["information"]] == ["a.news"]
    assert data["missing"] == [{"row": "a.away", "what": "not here", "reason": "needs a GPU"}]
    assert data["machine"].keys() >= {"processor", "cores", "threads", "instructions", "torch", "device", "gpu"}


def test_a_profile_has_milliseconds_and_shares(setting: Setting) -> None:
    full = StepProfile(what="full", milliseconds=10.0, shares={(ModelPart.PRODUCTS, True): 1.0}, extras={})
    shares = {(ModelPart.PRODUCTS, False): 0.75, (ModelPart.WEIGHTS, False): 0.25}
    low = StepProfile(what="low", milliseconds=12.0, shares=shares, extras={"query": Extra(total=2.0, peak=1.0)})
    _, step = json.loads(json.dumps(profile_report([full, low], machine(setting))))["steps"]
    assert step["ratio"] == 1.2
    assert {(part["part"], part["milliseconds"]) for part in step["parts"]} == {
        ("products", 9.0),
        ("quantizing weights", 3.0),
    }
    assert step["extra_tensors"] == {"query": {"total": 2.0, "peak": 1.0}}
