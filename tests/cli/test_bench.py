from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest
from click.testing import CliRunner, Result

from bebertlab.bench import profile, suite
from bebertlab.bench.clock import Ratio
from bebertlab.bench.parts import ModelPart
from bebertlab.bench.profile import StepProfile
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.rows.allocations import Extra
from bebertlab.bench.setting import Setting
from bebertlab.cli.main import main

GOAL = Goal(name="step.w1a8", what="quantized / full", better="lower", goal=1.3)
FULL = StepProfile(what="full", milliseconds=10.0, shares={(ModelPart.PRODUCTS, False): 1.0}, extras={})
LOW = StepProfile(
    what="low",
    milliseconds=13.0,
    shares={(ModelPart.PRODUCTS, False): 0.5, (ModelPart.PRODUCTS, True): 0.3, (ModelPart.WEIGHTS, False): 0.2},
    extras={"query": Extra(total=2.0, peak=1.0)},
)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Setting]]:
    """What was asked for; instead of measuring it, figures are told."""
    seen = []

    def measure(wanted: Sequence[Goal], setting: Setting, tell: Callable[[str], None]) -> Iterator[Finding]:
        seen.append(([target.name for target in wanted], setting))
        tell("step.w1a8")
        yield Row(target=GOAL, ratio=Ratio.of([1.2, 1.1, 1.5]), note="12 ms / 10 ms")
        yield Row(target=Goal(name="a.bad", what="bad", better="higher", goal=2.0), ratio=Ratio.of([1.0]))
        yield Missing(target=Goal(name="a.away", what="", better="lower"), reason="needs a GPU")

    monkeypatch.setattr(suite, "measure", measure)
    return seen


def _train(*words: str) -> Result:
    return CliRunner().invoke(main, ["bench", "train", *words])


def test_the_table_has_a_line_a_row(seen: list[tuple[list[str], Setting]]) -> None:
    result = _train("--shape", "tiny", "--threads", "3", "--seed", "7", "--quick")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["step.w1a8", "1.2", "1.1-1.5", "at", "most", "1.3", "yes"] in [line[:7] for line in lines]
    assert ["a.bad", "1", "1-1", "at", "least", "2", "NO"] in [line[:7] for line in lines]
    assert "3 threads" in result.stdout
    assert "a.away: needs a GPU" in result.stdout
    assert result.stderr.splitlines() == [
        "measuring step.w1a8",
        "  step.w1a8: 1.2",
        "  a.bad: 1",
        "  a.away: not measured",
    ]
    ((_, setting),) = seen
    assert setting == Setting(shape="tiny", threads=3, seed=7, quick=True)


def test_json_is_all_that_is_on_stdout(seen: list[tuple[list[str], Setting]]) -> None:
    data = json.loads(_train("--format", "json").stdout)
    assert [(row["what"], row["ratio"], row["goal"], row["better"], row["met"]) for row in data["rows"]] == [
        ("quantized / full", 1.2, 1.3, "lower", True),
        ("bad", 1.0, 2.0, "higher", False),
    ]
    assert data["machine"]["device"] == "cpu"


def test_rows_can_be_chosen(seen: list[tuple[list[str], Setting]]) -> None:
    assert _train("--only", "optimizer", "--only", "step.bit").exit_code == 0
    assert seen[0][0] == ["step.bit", "optimizer.w1a8"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--only", "optimiser"), 2, "unknown row 'optimiser'; did you mean 'optimizer'?"),
        (("--device", "tpu"), 2, "--device tpu cannot be measured on; cpu, cuda or cuda:NUMBER is right"),
        (("--device", "cuda:x"), 2, "cuda or cuda:NUMBER is right"),
        (("--device", "cuda:99"), 3, "--device cuda:99 is not there: torch sees"),
        (("--shape", "huge"), 2, "'huge' is not one of 'tiny', 'minilm', 'base'"),
        (("--profile", "--only", "w1a9"), 2, "unknown scheme of the benchmark 'w1a9'"),
    ],
)
def test_what_cannot_be_measured_is_refused(words: tuple[str, ...], code: int, message: str) -> None:
    result = _train(*words)
    assert result.exit_code == code
    assert message in result.stderr


def test_a_profile_shows_the_parts_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "profile_steps", lambda only, setting, tell: [FULL, LOW])
    lines = [line.split("  ") for line in _train("--profile").stdout.splitlines()]
    cells = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    assert cells["step, ms"] == ["10.0", "13.0"]
    assert cells["by full"] == ["1.00x", "1.30x"]
    assert cells["products"] == ["10.0 (100%)", "6.5 (50%)"]
    assert cells["products, backward"] == ["0.0 (0%)", "3.9 (30%)"]
    assert cells["quantizing weights"] == ["0.0 (0%)", "2.6 (20%)"]
    assert "attention" not in cells
    assert cells["extra tensors of a weight's size, allocated (at once)"] == ["0", "2 (1)"]
    data = json.loads(_train("--profile", "--format", "json").stdout)
    assert [step["ratio"] for step in data["steps"]] == [1.0, 1.3]


@pytest.mark.slow
def test_packages_that_it_does_not_need_need_not_be_there() -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['ray', 'mlflow', 'optuna', 'datasets'])); "
        "from bebertlab.cli.main import main; main()"
    )
    words = ("bench", "train", "--shape", "tiny", "--quick", "--batch-size", "4", "--threads", "1")
    command = [sys.executable, "-c", script, *words, "--only", "optimizer", "--only", "feeding.cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "optimizer.w1a8" in done.stdout


@pytest.mark.slow
def test_the_real_thing() -> None:
    words = ("--shape", "tiny", "--quick", "--batch-size", "4", "--threads", "1", "--format", "json")
    result = _train(*words, "--only", "step", "--only", "distillation", "--only", "trials")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert {row["row"] for row in data["rows"]} >= {"step.w1a8", "distillation.two-stage"}
    assert all(0.0 < row["low"] <= row["ratio"] <= row["high"] for row in data["rows"])
    assert data["machine"]["threads"] == 1
