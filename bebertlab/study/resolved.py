"""A resolved study in its folder: as plain data, with copies of its one-file plugins; and its record for observers.

A study runs from its folder without the original files of its plugins.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.events import StudyRecord
from bebertlab.interfaces.sampler import SamplerOptions, SearchDimension
from bebertlab.interfaces.task import Caveat, Task
from bebertlab.registry.plugin_text import PluginText, plugin_root, read_plugin
from bebertlab.registry.registry import Registry
from bebertlab.store.disk import make_folder
from bebertlab.store.fingerprint import fingerprint
from bebertlab.study.space import remarks
from bebertlab.study.study import Study, show

STUDIES = "studies"  #: below the work folder
RESOLVED_FILE = "study.yaml"  #: in the folder of a study
PLUGINS = "plugins"  #: in the folder of a study
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
        "constraints": [_given(constraint) for constraint in study.constraints],
        "exclude": [dict(item) for item in study.exclude],
        "sampler": _CODEC.dump(study.sampler),
        "seeds": list(study.seeds),
        "objective": {} if study.objectives else _given(study.goals[0]),
        "objectives": dict(study.objectives),
        "questions": [_given(question) for question in study.questions],
        "is_smoke": study.is_smoke,
        "threads": study.threads,
    }
    return {key: value for key, value in data.items() if value not in ("", [], {}, False)}


def digest(study: Study) -> str:
    """The identity of a study: another text, or another text of its one-file plugins, is another study.

    Relative paths enter as they are written, so that a folder with all its files may be moved. That a study is a smoke
    run is no part of its identity: what makes it small is. Nor is the number of points that a sampler draws: raising it
    extends the study.
    """
    data = resolved(attrs.evolve(study, relative_to="", is_smoke=False))
    if isinstance(study.sampler, SamplerOptions):
        data["sampler"] = {name: value for name, value in data["sampler"].items() if name != "trials"}
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
        constraints=study.constraints,
        axes={path: axis.choice or () for path, axis in study.search.items()},
        seeds=study.seeds,
        questions=study.questions,
        is_smoke=study.is_smoke,
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
    data = {key: list(values) for key, values in _given(axis).items() if key != "when"}
    return {**data, "when": dict(axis.when)} if axis.when else data


def _given(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any attrs value of plain fields
    """The fields that are not null."""
    data: Mapping[str, Any] = attrs.asdict(value, recurse=False)
    return {key: item for key, item in data.items() if item is not None}


def copied_names(plugins: Sequence[str]) -> dict[str, str]:
    """The names of the copies of plugins below the folder of a study; plugins of one folder stay together.

    >>> list(copied_names(["/home/me/mine.py", "/lab/parts/__init__.py", "/home/me/other.py"]).values())
    ['plugins/mine.py', 'plugins/2/parts/__init__.py', 'plugins/other.py']
    """
    places = _places(map(Path, plugins))
    return {plugin: f"{places[plugin_root(Path(plugin))]}/{_name(Path(plugin))}" for plugin in plugins}


def plugin_digests(plugins: Sequence[str]) -> list[list[str]]:
    """Name and fingerprint of every plugin.

    Raises:
        UserError: a plugin imports a module whose name is ambiguous.
    """
    return [[_name(Path(plugin)), _read(Path(plugin)).fingerprint] for plugin in plugins]


def copy_plugins(texts: Sequence[PluginText], folder: Path) -> tuple[str, ...]:
    """Write the files of plugins below the folder of a study; returns their names there."""
    files = _files(texts)
    for name, content in files.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue  # the study may run from its copies
        make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    return tuple(files)


def copied_files(texts: Sequence[PluginText]) -> tuple[str, ...]:
    """Names of all files of plugins below the folder of a study."""
    return tuple(_files(texts))


def _files(texts: Sequence[PluginText]) -> dict[str, bytes]:
    places = _places(text.files[0].path for text in texts)
    files: dict[str, bytes] = {}
    for text in texts:
        place = places[plugin_root(text.files[0].path)]
        files |= {f"{place}/{file.name}": file.content for file in text.files}
    return files


def _places(plugins: Iterable[Path]) -> Mapping[Path, str]:
    """Folders of plugins to the folders of their copies: `plugins`, and for further ones `plugins/2` and so on."""
    roots = dict.fromkeys(map(plugin_root, plugins))
    return {root: PLUGINS if number == 1 else f"{PLUGINS}/{number}" for number, root in enumerate(roots, start=1)}


def _name(plugin: Path) -> str:
    return plugin.relative_to(plugin_root(plugin)).as_posix()


def _read(plugin: Path) -> PluginText:
    try:
        return read_plugin(plugin)
    except UserError as error:
        raise UserError(f"plugin {plugin}: {error}") from error
