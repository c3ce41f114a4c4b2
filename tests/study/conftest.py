"""Studies of parts that only take time and write numbers (`fakes.py`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bebertlab.registry.manager import load_plugins
from bebertlab.study.loaded_study import LoadedStudy, read_study

HERE = Path(__file__).parent


class Files:
    """A folder with the parts and a study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "study.yaml"
        self.text = (HERE / "little.yaml").read_text(encoding="utf-8")
        shutil.copy(HERE / "fakes.py", folder / "parts.py")
        self.write()

    def write(self, **replaced: str) -> None:
        """Write the study, with some lines replaced: `seeds="seeds: [1]"`."""
        lines = self.text.splitlines()
        for key, line in replaced.items():
            (index,) = (i for i, old in enumerate(lines) if old.lstrip().startswith(f"{key}:"))
            lines[index] = line
        self.path.write_text("\n".join(lines) + "\n")

    def read(self, *sets: str, smoke: bool = False) -> LoadedStudy:
        """Read the study."""
        return read_study(self.path, load_plugins, sets=sets, smoke=smoke)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A folder with the parts and a study; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "ran.log"))
    return Files(tmp_path)
