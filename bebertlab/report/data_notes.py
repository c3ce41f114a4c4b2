"""What the metrics say of the data: texts that lose their end, texts that stand in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bebertlab.artifacts.truncation import PERCENT, TRUNCATED
from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.labels import listing
from bebertlab.train.overlap import OVERLAP


def data_notes(trials: Sequence[TrialRecord]) -> list[str]:
    """A sentence on each that has something to say, with the highest counts of all trials."""
    metrics: dict[str, float] = {}
    for trial in trials:
        for name, value in trial.metrics.items():
            metrics[name] = max(value, metrics.get(name, value))
    return [*_truncated(metrics), *_overlap(metrics)]


def _truncated(metrics: Mapping[str, float]) -> list[str]:
    names = [name for name in metrics if name.startswith(TRUNCATED) and not name.endswith(PERCENT)]
    cut = [
        f"{metrics[name]:,.0f} of {name.removeprefix(TRUNCATED)} ({metrics.get(f'{name}{PERCENT}', 0.0):.1f}%)"
        for name in sorted(names)
        if metrics[name]
    ]
    return [f"Texts with more tokens than the model reads lose their end: {listing(cut)}."] if cut else []


def _overlap(metrics: Mapping[str, float]) -> list[str]:
    words = {
        "same": "{count} examples of {second} are also in {first}",
        "shared": "{count} {more}examples of {second} share a text with {first}",
        "short": "{count} short phrases of {first} stand in texts of {second}",
    }
    found = []
    for name in sorted(name for name in metrics if name.startswith(OVERLAP)):
        pair, _, kind = name.removeprefix(OVERLAP).rpartition("_")
        first, _, second = pair.partition("_")
        if kind in words and metrics[name]:
            more = "further " if metrics.get(f"{OVERLAP}{pair}_same") else ""
            found.append(words[kind].format(count=f"{metrics[name]:,.0f}", more=more, first=first, second=second))
    return [f"The splits overlap: {'; '.join(found)}."] if found else []
