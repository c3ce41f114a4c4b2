"""A resolved study as plain data, its digest and folder, and the record of it that observers receive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.events import StudyRecord
from bebertlab.interfaces.sampler import SearchDimension
from bebertlab.interfaces.task import Caveat, Task
from bebertlab.registry.plugin_text import PluginText
from bebertlab.registry.registry import Registry
from bebertlab.store.fingerprint import fingerprint
from bebertlab.study.plugin_copies import copied_files, copied_names, plugin_digests
from bebertlab.study.space import remarks
from bebertlab.study.study import Study, show

STUDIES = "studies"  #: below the work folder
RESOLVED_FILE = "study.yaml"  #: in the folder of a study
_DIGITS = 8
_CODEC = OptionsCodec(Registry())  # writing needs no registered classes


def resolved(study: Study) -> dict[str, Any]:
    """The study as plain data: reading it in its folder, where its plugins have copies, gives the same study."""
    data = {
        "schema_version": study.schema_version,
        "name": study.name,
        "description": study.description,
        "relative_to": study.relative_to,
        "plugins": list(copied_names(study.plugins).values()),
        "recipe_name": study.recipe_name,
        "recipe": study.recipe,
        "search": {path: _axis(axis) for path, axis in study.search.items()},
        "exclude": [dict(item) for item in study.exclude],
        "sampler": _CODEC.dump(study.sampler),
        "seeds": list(study.seeds),
        "objective": {} if study.objectives else _given(study.goals[0]),
        "objectives": dict(study.objectives),
        "questions": [_given(question) for question in study.questions],
        "threads": study.threads,
    }
    return {key: value for key, value in data.items() if value not in ("", [], {})}


def digest(study: Study) -> str:
    """The identity of a study: another text, or another text of its one-file plugins, is another study.

    Relative paths enter as they are written, so that a folder with all its files may be moved.
    """
    data = resolved(attrs.evolve(study, relative_to=""))
    return fingerprint({**data, "plugins": plugin_digests(study.plugins)})


def study_folder(study: Study, work: Path) -> Path:
    """The folder of the journal and the report of a study."""
    return work / STUDIES / f"{study.name}-{digest(study)[:_DIGITS]}"


def study_record(
    study: Study,
    work: Path,
    task: Task,
    *,
    caveats: tuple[Caveat, ...] = (),
    texts: Sequence[PluginText] = (),
    planned: int | None,
    finished: int,
    missing: Mapping[str, str],
    not_needed: tuple[str, ...] = (),
    idle: tuple[str, ...] = (),
) -> StudyRecord:
    """The record of a study for observers; `texts` are those of its one-file plugins, `caveats` those of its tasks."""
    return StudyRecord(
        name=study.name,
        digest=digest(study),
        description=study.description,
        folder=study_folder(study, work),
        work=work,
        plugin_files=copied_files(texts),
        identity={"task": task.name, "encoder": show(study.recipe["encoder"]), "recipe": study.recipe_name},
        resolved=resolved(study),
        objectives=study.goals,
        axes={path: axis.choice or () for path, axis in study.search.items()},
        seeds=study.seeds,
        questions=study.questions,
        caveats=caveats,
        metrics=tuple(metric.info for metric in task.metrics),
        planned=planned,
        finished=finished,
        missing=missing,
        warnings=remarks(study),
        not_needed=not_needed,
        idle=idle,
    )


def _axis(axis: SearchDimension) -> dict[str, Any]:
    return {key: list(values) for key, values in _given(axis).items()}


def _given(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any attrs value of plain fields
    """The fields that are not null."""
    data: Mapping[str, Any] = attrs.asdict(value, recurse=False)
    return {key: item for key, item in data.items() if item is not None}
