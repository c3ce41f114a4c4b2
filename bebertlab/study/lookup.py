"""Finding studies in a work folder, and the artifacts of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from bebertlab.config.yaml import read_yaml
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.events import TrialRecord
from bebertlab.store.store import Store
from bebertlab.study.resolved import RESOLVED_FILE, STUDIES


@frozen(kw_only=True, order=True)
class StudyFolder:
    """A study that ran with a work folder."""

    name: str
    folder: Path
    description: str = ""

    @property
    def file(self) -> Path:
        """The resolved study: running it continues the study."""
        return self.folder / RESOLVED_FILE


def find_studies(work: Path) -> tuple[StudyFolder, ...]:
    """Every study of a work folder, by name and folder; no plugin is loaded.

    Raises:
        UserError: the resolved file of a study is not valid YAML.
    """
    found = []
    for file in work.glob(f"{STUDIES}/*/{RESOLVED_FILE}"):
        data = read_yaml(file).data
        if isinstance(data, Mapping):
            description = str(data.get("description", ""))
            found.append(StudyFolder(name=str(data.get("name")), folder=file.parent, description=description))
    return tuple(sorted(found))


def find_study(work: Path, name: str) -> StudyFolder:
    """The study of a name, or of the name of a folder where several studies have one name.

    Raises:
        UserError: there is none, or there are several.
    """
    studies = find_studies(work)
    matching = [study for study in studies if name in (study.name, study.folder.name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        folders = ", ".join(study.folder.name for study in matching)
        raise UserError(f"{len(matching)} studies are called '{name}'; name a folder: {folders}")
    known = dict.fromkeys(study.name for study in studies)
    raise UserError(f"no study '{name}' in {work}; {suggestion(name, known)}")


def artifact_folders(trial: TrialRecord, store: Store) -> Mapping[str, Path]:
    """The folders of a trial's artifacts by the stages' names, in the order of the plan; without those removed."""
    folders = {stage.stage: store.folder(stage.key) for stage in trial.stages}
    return {name: folder for name, folder in folders.items() if folder.is_dir()}
