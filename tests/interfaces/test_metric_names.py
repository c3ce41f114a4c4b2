from __future__ import annotations

import re
from pathlib import Path

import pytest

import bebertlab
from bebertlab.data.metrics import (
    ACCURACY_F1_METRICS,
    CORRELATION_METRICS,
    MATTHEWS_METRICS,
)
from bebertlab.interfaces.metric_names import (
    COST_SECONDS,
    METRICS,
    SIZE_TOTAL,
    TASK_METRICS,
    TRIALS_FAILED,
    MetricInfo,
    baseline_metric,
    metric_info,
    overlap,
    overlap_parts,
    truncated,
    truncated_percent,
    truncated_splits,
    variety,
)

CORE = sorted(Path(bebertlab.__file__).parent.rglob("*.py"))
GROUPS = ("validation", "select", "size", "cost", "train", "members", "member", "truncated", "overlap", "variety")


def test_names_are_unique() -> None:
    names = [info.name for info in METRICS]
    assert len(set(names)) == len(names)


def test_every_metric_is_documented() -> None:
    assert not [info.name for info in METRICS if not info.description]


@pytest.mark.parametrize(
    ("name", "unit", "maximize"),
    [
        ("validation/score", "%", True),
        ("validation_mismatched/accuracy", "%", True),
        ("select/ece", "%", False),
        ("validation/brier", "", False),
        ("validation/unheard", "%", True),
        (SIZE_TOTAL, "MiB", False),
        (COST_SECONDS, "s", False),
        ("cost/members_seconds", "s", False),
        ("width_0.5/validation/score", "%", True),
        ("depth_0.75/width_0.5/size/total_mebibytes", "MiB", False),
        (baseline_metric("chance", "validation/score"), "%", True),
        (variety("validation"), "%", None),
        (truncated_percent("train"), "%", False),
        (TRIALS_FAILED, "", None),
        ("mine", "", None),
    ],
)
def test_unit_and_direction_follow_from_a_name(name: str, unit: str, maximize: bool | None) -> None:
    info = metric_info(name)
    assert (info.name, info.unit, info.maximize) == (name, unit, maximize)


def test_a_task_describes_its_metrics() -> None:
    distance = MetricInfo(name="distance", unit="km", maximize=False)
    info = metric_info("validation/distance", [distance])
    assert (info.name, info.unit, info.maximize) == ("validation/distance", "km", False)


def test_the_metrics_of_shipped_tasks_are_as_they_are_listed() -> None:
    listed = {info.name: (info.unit, info.maximize, info.decimals) for info in TASK_METRICS}
    for metric in (*ACCURACY_F1_METRICS, *MATTHEWS_METRICS, *CORRELATION_METRICS):
        info = metric.info
        assert listed[info.name] == (info.unit, info.maximize, info.decimals)


def test_names_of_grouped_metrics_can_be_parsed() -> None:
    assert overlap_parts(overlap("train", "validation_far", "short")) == ("train", "validation_far", "short")
    assert overlap_parts("validation/score") is None
    names = [truncated("validation"), truncated_percent("validation"), truncated("train"), "size/x"]
    assert truncated_splits(names) == ["train", "validation"]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.relative_to(CORE[0].parent).as_posix())
def test_metric_names_are_spelled_in_one_module(path: Path) -> None:
    if path.name == "metric_names.py":
        return
    code = re.sub(r'""".*?"""|#.*', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.findall(rf'"(?:{"|".join(GROUPS)})/\w+"', code)
