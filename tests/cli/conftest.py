"""A toy plugin and recipe, and a study of fakes, so that commands run in milliseconds."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import pytest
from attrs import frozen
from click.testing import CliRunner, Result

from bebertlab.cli.main import main
from bebertlab.registry.manager import DISABLE, GROUP

FAKES = Path(__file__).parents[1] / "study"

PLUGIN = '''
import json

import numpy as np
from attrs import field, frozen, validators

from bebertlab.api import (
    EncoderOptions, Metric, Split, StageOptions, Task, TaskOptions, UserError, hookimpl, stage_input,
)


@frozen(kw_only=True)
class Toy(TaskOptions):
    """Numbers."""

    kind = "toy"
    size: int = field(default=4, validator=validators.ge(1))

    def load(self):
        text = tuple(map(str, range(self.size)))
        split = Split(ids=text, texts=text, pairs=None, labels=np.zeros(self.size, dtype=np.int64))
        return Task(
            name="toy", classes=("no", "yes"), splits={"train": split},
            metrics=(Metric(name="accuracy", compute=lambda answers: 0.0),),
            score="accuracy",
        )


@frozen(kw_only=True)
class ToyEncoder(EncoderOptions):
    """Nothing."""

    kind = "toy"
    maximum_tokens: int = 8

    def digest(self):
        return ""

    def tokenizer(self, texts):
        raise NotImplementedError

    def checkpoint(self, vocabulary, classes, seed):
        raise NotImplementedError


@frozen(kw_only=True)
class Make(StageOptions):
    """Makes something out of nothing or something."""

    kind = "make"
    of: str | None = stage_input(optional=True)
    value: float = 1.0
    fail: bool = False

    def run(self, inputs, context):
        if self.fail:
            raise UserError("it does not want to")
        (context.folder / "text").write_text("text")
        metrics = {"select/score": self.value, "validation/score": self.value / 2}
        (context.folder / "metrics.json").write_text(json.dumps(metrics))


@hookimpl
def bebertlab_tasks():
    return [Toy]


@hookimpl
def bebertlab_encoders():
    return [ToyEncoder]


@hookimpl
def bebertlab_stages():
    return [Make]


@hookimpl
def bebertlab_stage_finished(event):
    print(f"told of {event.stage}")
'''

RECIPE = """\
task: toy
encoder: toy
stages:
  first: make
  second: {kind: make, of: first, value: 50}
  aside: {kind: make, of: first}
  last: {kind: make, of: second}
result: last
"""


@frozen(eq=False)
class Lab:
    """A folder with a toy recipe and a work folder, and the command over them."""

    folder: Path

    @property
    def recipe(self) -> str:
        """Path of the recipe."""
        return str(self.folder / "toy.yaml")

    @property
    def work(self) -> Path:
        """The work folder."""
        return self.folder / "work"

    def run(self, *arguments: str) -> Result:
        """Run a command; `--work` is added."""
        plugin = str(self.folder / "toy.py")
        return CliRunner().invoke(main, ["-p", plugin, *arguments, "--work", str(self.work)])


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv(DISABLE, ",".join(importlib.metadata.entry_points(group=GROUP).names))
    (tmp_path / "toy.py").write_text(PLUGIN)
    (tmp_path / "toy.yaml").write_text(RECIPE)
    return Lab(tmp_path)


@frozen(eq=False)
class Folder:
    """A folder with a study."""

    path: Path

    def run(self, command: str, *arguments: str) -> Result:
        """`bebertlab study COMMAND study.yaml ARGUMENTS` in this process."""
        return CliRunner().invoke(main, ["study", command, "study.yaml", *arguments])

    def local(self, *arguments: str) -> Result:
        """`study run` without Ray and MLflow."""
        return self.run("run", "--executor", "local", "--no-tracking", *arguments)

    def command(self, *arguments: str) -> list[str]:
        """The command line of `study run`, for another process."""
        return [sys.executable, "-m", "bebertlab", "study", "run", "study.yaml", "--no-tracking", *arguments]

    def ran(self) -> list[str]:
        """Stages that really ran: name, seed and process."""
        log = self.path / "ran.log"
        return log.read_text().splitlines() if log.exists() else []

    def trials(self, *arguments: str) -> list[dict[str, object]]:
        """The trials as printed by `study status`."""
        actual: list[dict[str, object]] = json.loads(self.run("status", *arguments, "--format", "json").stdout)[
            "trials"
        ]
        return actual

    def scores(self, *arguments: str) -> list[object]:
        """The metrics of all trials except those in seconds."""
        assert {trial["state"] for trial in self.trials(*arguments)} == {"complete"}
        metrics = [trial["metrics"] for trial in self.trials(*arguments)]
        return [{k: v for k, v in item.items() if "cost" not in k} for item in metrics if isinstance(item, dict)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    shutil.copy(FAKES / "fakes.py", tmp_path / "parts.py")
    shutil.copy(FAKES / "little.yaml", tmp_path / "study.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "ran.log"))
    monkeypatch.setenv("BEBERTLAB_WORK", str(tmp_path / "work"))
    return Folder(tmp_path)
