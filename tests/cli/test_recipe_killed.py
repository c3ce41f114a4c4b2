"""A recipe whose process is killed continues its training when the same command runs again."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
COMMAND = [
    *(sys.executable, "-m", "bebertlab", "recipe", "run", str(ROOT / "studies" / "recipes" / "quantize.yaml")),
    *("--stage", "teacher", "--set", "task.size=512", "--set", "task.select_size=64"),
    *("--set", "task.validation_size=64", "--set", "train.epochs=6", "--set", "train.evaluations=2"),
]


def command(work: Path, minutes: float) -> list[str]:
    return [*COMMAND, "--work", str(work), "--save-state-minutes", str(minutes)]


def states(work: Path) -> list[Path]:
    return [*(work / "store" / "states").glob("*.safetensors")]


def content(work: Path) -> Iterator[tuple[str, object]]:
    """Weights, logits and curves of the finished stages, by key."""
    for path in sorted((work / "store").glob("[0-9a-f][0-9a-f]/*/*")):
        if path.suffix == ".safetensors":
            tensors = {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}
            yield f"{path.parent.name}/{path.name}", tensors
        elif path.name == "learning_curve.json":
            yield f"{path.parent.name}/{path.name}", path.read_bytes()


def kill(work: Path, *, after_state: bool, seconds: float) -> bool:
    """Kill the command some seconds after it begins, or after its first state; False if it had ended by then."""
    with subprocess.Popen(command(work, 1e-5), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while after_state and not states(work) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(seconds)
        ended = process.poll() is not None
        process.send_signal(signal.SIGKILL)
    return not ended


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    work = tmp_path_factory.mktemp("whole")
    subprocess.run(command(work, 0), check=True, capture_output=True)
    assert states(work) == []
    return dict(content(work))


@pytest.mark.slow
def test_a_killed_recipe_continues(tmp_path: Path, whole: dict[str, object]) -> None:
    assert kill(tmp_path, after_state=True, seconds=0.0)
    assert len(states(tmp_path)) == 1
    again = subprocess.run(command(tmp_path, 5), check=True, capture_output=True, text=True)
    assert "labels: resumed at step" in again.stderr
    assert states(tmp_path) == []
    assert dict(content(tmp_path)) == whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kills_at_random_moments(tmp_path: Path, whole: dict[str, object], seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(3):
        kill(tmp_path, after_state=draw.random() < 0.7, seconds=draw.uniform(0, 0.4))
    subprocess.run(command(tmp_path, 5), check=True, capture_output=True)
    assert states(tmp_path) == []
    assert not [*(tmp_path / "store" / "temporary").glob("*")]
    assert dict(content(tmp_path)) == whole
    shutil.rmtree(tmp_path)
