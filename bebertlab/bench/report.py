"""What was found, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from bebertlab.bench.machine import Machine
from bebertlab.bench.profile import StepProfile
from bebertlab.bench.row import Finding, Missing, Row


def report(findings: Sequence[Finding], machine: Machine) -> dict[str, Any]:
    """Rows with a goal, rows for information, rows that are missing, and the machine."""
    rows = [finding for finding in findings if isinstance(finding, Row)]
    return {
        "rows": [_row(row) for row in rows if row.target.goal is not None],
        "information": [_row(row) for row in rows if row.target.goal is None],
        "missing": [
            {"row": one.target.name, "what": one.target.what, "reason": one.reason}
            for one in findings
            if isinstance(one, Missing)
        ],
        "machine": attrs.asdict(machine),
    }


def profile_report(profiles: Sequence[StepProfile], machine: Machine) -> dict[str, Any]:
    """Every step with its parts in milliseconds and as shares, and the machine."""
    return {"steps": [_profile(one, profiles[0]) for one in profiles], "machine": attrs.asdict(machine)}


def _row(row: Row) -> dict[str, Any]:
    return {
        "row": row.target.name,
        "what": row.target.what,
        "ratio": row.ratio.median,
        "low": row.ratio.low,
        "high": row.ratio.high,
        "goal": row.target.goal,
        "better": row.target.better,
        "met": row.met,
        "note": row.note,
    }


def _profile(one: StepProfile, yardstick: StepProfile) -> dict[str, Any]:
    return {
        "what": one.what,
        "milliseconds": one.milliseconds,
        "ratio": one.milliseconds / yardstick.milliseconds,
        "parts": [
            {
                "part": str(part),
                "backward": backward,
                "milliseconds": share * one.milliseconds,
                "share": share,
            }
            for (part, backward), share in sorted(one.shares.items())
        ],
        "extra_tensors": {name: attrs.asdict(extra) for name, extra in one.extras.items()},
    }
