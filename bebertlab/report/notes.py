"""How to read a report, and how to make its numbers again."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version

from bebertlab.artifacts.metrics import PERCENT, TRUNCATED
from bebertlab.data.overlap import OVERLAP
from bebertlab.interfaces.events import TrialRecord
from bebertlab.registry.manager import GROUP
from bebertlab.report.document import Block, Bullets, Code, Section, Table, Text
from bebertlab.report.labels import count, listing, value_label
from bebertlab.report.points import told
from bebertlab.report.report_data import Material
from bebertlab.report.resolved import resolved_part
from bebertlab.report.statistics import MINIMUM_SEEDS

_PACKAGES = ("bebertlab", "torch", "transformers", "tokenizers", "numpy", "optuna", "ray", "mlflow")


def reading(made: Material) -> Section:
    """What the intervals and words mean."""
    items = (
        "Intervals are 95% t-intervals over seeds. They say how a result moves when training is repeated with another "
        "seed on this data; they do not cover other data sets.",
        "Pairs of one seed share models, so they are averaged first and each seed counts once.",
        f"A value 'beats' another only with at least {MINIMUM_SEEDS} seeds, an interval that excludes zero and a "
        "p-value below 0.05 after Holm's correction over the comparisons of the question. Else no difference is shown, "
        "which does not say that there is none.",
        "'Detectable' is the true difference that a study with this spread and number of seeds would show four times "
        "in five.",
        "≈ compares a point with the best one by a t-test with the residual spread of all points after taking out "
        "their means and those of the seeds, corrected (Holm) for the number of points.",
        *_shared_note(made),
        *data_notes(made.trials),
        *_not_needed_note(made),
    )
    return Section(title="How to read this", blocks=(Bullets(items=items),))


def _shared_note(made: Material) -> list[str]:
    """Stages that are the same for every seed hide their part of the spread."""
    seeds: dict[str, set[int]] = {}
    names: dict[str, str] = {}
    for trial in made.trials:
        for event in told(trial):
            seeds.setdefault(event.key, set()).add(trial.seed)
            names[event.key] = event.stage
    shared = list(dict.fromkeys(names[key] for key, found in seeds.items() if len(found) > 1))
    if not shared:
        return []
    return [f"The seeds share {listing(shared)}: the intervals do not cover how these would vary."]


def _not_needed_note(made: Material) -> list[str]:
    """Stages of the recipe that no result is of."""
    names = made.study.not_needed
    return [f"Not run, as no trial's result needs them: {listing(names)}."] if names else []


def reproduce(made: Material) -> Section:
    """The resolved study, its digest and the versions."""
    study = made.study
    identity = Table(
        columns=("what", "value"),
        rows=(("study", f"{study.name}@{study.digest[:8]}"), *study.identity.items(), *versions()),
    )
    axes = Table(
        columns=("searched", "values"),
        rows=tuple((path, _values(values)) for path, values in study.axes.items()),
    )
    blocks: list[Block] = [
        Text(words="The resolved study stands below and beside this report as study.yaml. To run it again:"),
        Code(text="bebertlab study run study.yaml", language="sh"),
        *_relative_paths(made),
        *_plugin_files(made),
        identity,
    ]
    if axes.rows:
        blocks.append(axes)
    blocks.append(Code(text=study.resolved, language="yaml", folded="The resolved study"))
    return Section(title="How to reproduce", blocks=tuple(blocks))


def _relative_paths(made: Material) -> list[Block]:
    """Where relative paths of the recipe lie, which is a folder of this machine."""
    folder = resolved_part(made.study, "relative_to")
    if not folder:
        return []
    words = f"Relative paths in its recipe are relative to {folder}; elsewhere, change relative_to in study.yaml."
    return [Text(words=words)]


def _plugin_files(made: Material) -> list[Block]:
    files = made.study.plugin_files
    if not files:
        return []
    words = (
        "It loads its plugins from the folder plugins beside it. To run it elsewhere, take both along; data files that "
        "a plugin reads are not among them:"
    )
    return [Text(words=words), Bullets(items=files)]


def _values(values: Sequence[object]) -> str:
    shown = [value_label(value) for value in values[:12]]
    return ", ".join(shown) + (f" ... ({len(values)} values)" if len(values) > 12 else "")


def versions() -> list[tuple[str, str]]:
    """Python, and the installed packages that results depend on, with their versions."""
    found = [("python", platform.python_version())]
    plugins = {point.dist.name for point in entry_points(group=GROUP) if point.dist}
    for name in [*_PACKAGES, *sorted(plugins - set(_PACKAGES))]:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


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
