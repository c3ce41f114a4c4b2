"""The warnings of a study, how to read its report, and how to reproduce its numbers."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version

from bebertlab.config.yaml import to_yaml
from bebertlab.interfaces.events import TrialRecord
from bebertlab.interfaces.metric_names import (
    overlap,
    overlap_parts,
    truncated,
    truncated_percent,
    truncated_splits,
)
from bebertlab.registry.manager import GROUP
from bebertlab.report.document import Block, Bullets, Code, Section, Table, Text
from bebertlab.report.labels import count, listing, value_label
from bebertlab.report.points import finished_stages
from bebertlab.report.report_data import ReportData
from bebertlab.report.statistics import MINIMUM_SEEDS

_PACKAGES = ("bebertlab", "torch", "transformers", "tokenizers", "numpy", "optuna", "ray", "mlflow")
_MOST_VALUES = 12  #: of an option; more are counted
_MOST_STAGES = 4  #: named in a warning; the others are counted


def how_to_read(data: ReportData) -> Section:
    """The meaning of the intervals and terms."""
    items = (
        "Intervals are 95% t-intervals over seeds. They show how a result varies when training is repeated with"
        " another seed on this data; they do not cover other data sets.",
        "Pairs of one seed share models, so they are averaged first and each seed counts once.",
        f"A value is called better than another only with at least {MINIMUM_SEEDS} seeds, an interval that excludes"
        " zero and a p-value below 0.05 after Holm's correction over the comparisons of the question. Otherwise no"
        " difference is shown, which does not mean that there is none.",
        "The minimum detectable difference is the true difference that a study with this spread and number of seeds"
        " would show with a probability of 80%.",
        "≈ marks points that are not shown to be worse than the best one: a t-test with the residual spread of all"
        " points, after the means of points and seeds are removed, corrected (Holm) for the number of points.",
        *_shared_stages(data),
        *data_notes(data.trials),
        *_stages_not_needed(data),
    )
    return Section(title="How to read this", blocks=(Bullets(items=items),))


def _shared_stages(data: ReportData) -> list[str]:
    """Stages that are the same for every seed hide their part of the spread."""
    seeds: dict[str, set[int]] = {}
    names: dict[str, str] = {}
    for trial in data.trials:
        for stage in finished_stages(trial):
            seeds.setdefault(stage.key, set()).add(trial.seed)
            names[stage.key] = stage.stage
    shared = list(dict.fromkeys(names[key] for key, with_key in seeds.items() if len(with_key) > 1))
    if not shared:
        return []
    return [f"The seeds share {listing(shared)}: the intervals do not cover how these would vary."]


def _stages_not_needed(data: ReportData) -> list[str]:
    names = data.study.not_needed
    return [f"Not run, since no trial's result needs them: {listing(names)}."] if names else []


def reproduce(data: ReportData) -> Section:
    """The resolved study, its digest and the versions."""
    study = data.study
    origin = Table(
        columns=("what", "value"),
        rows=(("study", f"{study.name}@{study.digest[:8]}"), *study.identity.items(), *versions()),
    )
    axes = Table(
        columns=("searched", "values"),
        rows=tuple((path, _values(values)) for path, values in study.axes.items()),
    )
    blocks: list[Block] = [
        Text(text="The resolved study is shown below and stored next to this report as study.yaml. To run it again:"),
        Code(text="bebertlab study run study.yaml", language="sh"),
        *_relative_paths(data),
        *_plugin_files(data),
        origin,
    ]
    if axes.rows:
        blocks.append(axes)
    blocks.append(Code(text=to_yaml(study.resolved), language="yaml", summary="The resolved study"))
    return Section(title="How to reproduce", blocks=tuple(blocks))


def _relative_paths(data: ReportData) -> list[Block]:
    """The base of relative paths in the recipe, which is a folder of this machine."""
    folder = data.study.resolved.get("relative_to")
    if not folder:
        return []
    text = f"Paths in its recipe are relative to {folder}; on another machine, change relative_to in study.yaml."
    return [Text(text=text)]


def _plugin_files(data: ReportData) -> list[Block]:
    files = data.study.plugin_files
    if not files:
        return []
    text = (
        "It loads its plugins from the folder plugins next to it. To run it on another machine, copy both; data files"
        " that a plugin reads are not among them:"
    )
    return [Text(text=text), Bullets(items=files)]


def _values(values: Sequence[object]) -> str:
    labels = [value_label(value) for value in values[:_MOST_VALUES]]
    return ", ".join(labels) + (f" ... ({len(values)} values)" if len(values) > _MOST_VALUES else "")


def versions() -> list[tuple[str, str]]:
    """Python, and the installed packages that results depend on, with their versions."""
    installed = [("python", platform.python_version())]
    plugins = {point.dist.name for point in entry_points(group=GROUP) if point.dist}
    for name in [*_PACKAGES, *sorted(plugins - set(_PACKAGES))]:
        try:
            installed.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return installed


def warnings(data: ReportData) -> tuple[Section, ...]:
    """The warnings of the study, then those of stages, each once with their names; no section without warnings.

    Caveats of the data are at the top of the report and not repeated.
    """
    caveats = {caveat.sentence for caveat in data.study.caveats}
    stages: dict[str, dict[str, None]] = {}  # text to names, in order
    for trial in data.trials:
        for stage in trial.stages:
            for text in stage.warnings:
                stages.setdefault(text, {})[stage.stage] = None
    items = (
        *data.study.warnings,
        *data.study.idle,
        *(f"{_stages(tuple(names))}: {text}" for text, names in stages.items() if text not in caveats),
    )
    return (Section(title="Warnings", blocks=(Bullets(items=items),)),) if items else ()


def _stages(names: tuple[str, ...]) -> str:
    others = len(names) - _MOST_STAGES
    listed = [*names[:_MOST_STAGES], *([count(others, "other stage")] if others > 0 else [])]
    return f"stage{'' if len(names) == 1 else 's'} {listing(listed)}"


def data_notes(trials: Sequence[TrialRecord]) -> list[str]:
    """A sentence on truncated texts and one on overlapping splits, if any, with the highest counts of all trials."""
    metrics: dict[str, float] = {}
    for trial in trials:
        for name, value in trial.metrics.items():
            metrics[name] = max(value, metrics.get(name, value))
    return [*_truncated(metrics), *_overlap(metrics)]


def _truncated(metrics: Mapping[str, float]) -> list[str]:
    counts = [
        f"{metrics[truncated(split)]:,.0f} of {split} ({metrics.get(truncated_percent(split), 0.0):.1f}%)"
        for split in truncated_splits(metrics)
        if metrics[truncated(split)]
    ]
    return [f"Texts with more tokens than the model reads are truncated: {listing(counts)}."] if counts else []


def _overlap(metrics: Mapping[str, float]) -> list[str]:
    sentences = {
        "same": "{count} examples of {second} are also in {first}",
        "shared": "{count} {more}examples of {second} share a text with {first}",
        "short": "{count} short phrases of {first} occur in texts of {second}",
    }
    counts = []
    for name in sorted(metrics):
        first, second, kind = overlap_parts(name) or ("", "", "")
        if kind in sentences and metrics[name]:
            more = "further " if metrics.get(overlap(first, second, "same")) else ""
            counts.append(sentences[kind].format(count=f"{metrics[name]:,.0f}", more=more, first=first, second=second))
    return [f"The splits overlap: {'; '.join(counts)}."] if counts else []
