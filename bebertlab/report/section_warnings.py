"""What the study and its stages warn of."""

from __future__ import annotations

from bebertlab.report.document import Bullets, Section
from bebertlab.report.labels import count, listing
from bebertlab.report.material import Material

_NAMED = 4  #: stages named in a warning; the others are counted


def warnings(made: Material) -> tuple[Section, ...]:
    """What the study warns of, then each warning of stages once with their names; no section where there is none."""
    stages: dict[str, dict[str, None]] = {}  # text to names, in order
    for trial in made.trials:
        for event in trial.stages:
            for text in event.warnings:
                stages.setdefault(text, {})[event.stage] = None
    items = (
        *made.study.warnings,
        *made.study.idle,
        *(f"{_stages(tuple(names))}: {text}" for text, names in stages.items()),
    )
    return (Section(title="Warnings", blocks=(Bullets(items=items),)),) if items else ()


def _stages(names: tuple[str, ...]) -> str:
    others = len(names) - _NAMED
    shown = [*names[:_NAMED], *([count(others, "other stage")] if others > 0 else [])]
    return f"stage{'' if len(names) == 1 else 's'} {listing(shown)}"
