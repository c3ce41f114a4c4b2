"""What must be known of the data before any number is read."""

from __future__ import annotations

from bebertlab.interfaces.events import StudyRecord
from bebertlab.report.resolved import resolved_part

GENERATED = "Generated data: the text is made up by a grammar. This report says nothing about real language."
_UNOFFICIAL = "not the official splits"  #: what the name of a task says of them


def banners(study: StudyRecord) -> tuple[str, ...]:
    """Sentences for the top of a report; none for the whole data of a benchmark."""
    task = study.identity.get("task", "")
    limit = resolved_part(study, "recipe", "task", "limit")
    said = [GENERATED] if study.generated else []
    if limit is not None:
        said.append(f"Cut data: the task has limit {limit}. Scores are not those of the whole task.")
    if _UNOFFICIAL in task:
        name = task.replace(f"({_UNOFFICIAL})", "").strip()
        said.append(f"Not the official splits of {name}: scores cannot be set beside published ones.")
    return tuple(said)
