"""How to read a report, and how to make its numbers again."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version

from bebertlab.manager import GROUP
from bebertlab.report.data_notes import data_notes
from bebertlab.report.document import Block, Bullets, Code, Section, Table, Text
from bebertlab.report.labels import listing, value_label
from bebertlab.report.material import Material
from bebertlab.report.resolved import resolved_part
from bebertlab.report.rows import told
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
        rows=(("study", f"{study.name}@{study.digest[:8]}"), *study.identity.items(), *_versions()),
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


def _versions() -> list[tuple[str, str]]:
    found = [("python", platform.python_version())]
    plugins = {point.dist.name for point in entry_points(group=GROUP) if point.dist}
    for name in [*_PACKAGES, *sorted(plugins - set(_PACKAGES))]:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
