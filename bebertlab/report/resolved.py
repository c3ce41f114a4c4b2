"""Looking into the study as it was resolved."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bebertlab.config.yaml import parse_yaml
from bebertlab.interfaces.events import StudyRecord


def resolved_part(study: StudyRecord, *path: str) -> Any:  # noqa: ANN401 - whatever YAML can say
    """What the resolved study has at a path; None where it has nothing."""
    found = _parsed(study.resolved)
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:  # noqa: ANN401 - whatever YAML can say
    """The data of a resolved study; a report asks again for each comparison."""
    return parse_yaml(text, "the resolved study").data
