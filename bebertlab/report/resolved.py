"""Looking into the study as it was resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bebertlab.config.yaml import parse_yaml
from bebertlab.interfaces.events import StudyRecord


def resolved_part(study: StudyRecord, *path: str) -> Any:  # noqa: ANN401 - whatever YAML can say
    """What the resolved study has at a path; None where it has nothing."""
    found = parse_yaml(study.resolved, "the resolved study").data
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
