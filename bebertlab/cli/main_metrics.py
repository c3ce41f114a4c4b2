"""The metrics of a stage that are shown first, in groups."""

from __future__ import annotations

from collections.abc import Iterable

from bebertlab.interfaces.metric_names import (
    COST_SECONDS,
    GIGAFLOPS,
    MEMBERS_COUNT,
    SENTENCE_MILLISECONDS,
    SIZE_PACKED,
    SIZE_STORED,
    SIZE_TOTAL,
    TRAIN_SECONDS,
    TRAIN_STEPS,
    metric_info,
)
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION

_COSTS = (
    *(MEMBERS_COUNT, SIZE_TOTAL, SIZE_PACKED, SIZE_STORED, GIGAFLOPS, SENTENCE_MILLISECONDS),
    *(TRAIN_STEPS, TRAIN_SECONDS, COST_SECONDS),
)


def main_metrics(names: Iterable[str]) -> list[list[str]]:
    """Names in groups: scores of each split, costs, and metrics of plugins; all names where none is a main one.

    >>> main_metrics(["select/score", "cost/seconds", "validation/score", "variety/validation"])
    [['select/score'], ['validation/score'], ['cost/seconds']]
    """
    names = list(names)
    scores: dict[str, list[str]] = {}
    for name in names:
        if split := _split_of(name):
            scores.setdefault(split, []).append(name)
    costs = [name for name in _COSTS if name in names]
    of_plugins = [name for name in names if not _split_of(name) and not metric_info(name).description]
    groups = [group for group in (*scores.values(), costs, of_plugins) if group]
    return groups or [names]


def _split_of(name: str) -> str:
    """The split of a score, with the sub-network that precedes it; empty for other metrics.

    >>> _split_of("width_0.5/validation/score"), _split_of("majority/validation_score"), _split_of("truncated/train")
    ('width_0.5/validation', '', '')
    """
    *outer, _ = name.split("/")
    is_split = bool(outer) and (outer[-1] in (TRAIN, SELECT, VALIDATION) or outer[-1].startswith(f"{VALIDATION}_"))
    return "/".join(outer) if is_split else ""
