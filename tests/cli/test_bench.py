from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest
from click.testing import CliRunner, Result

from bebertlab.bench import profile, suite
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.memory import ExtraTensors
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.profile import StepPart, StepProfile
from bebertlab.bench.suite import RowGroup
from bebertlab.cli.main import main

SPEC = RowSpec(name="step.w1a8", description="quantized / full", better="lower", goal=1.3)
FULL = StepProfile(name="full", milliseconds=10.0, shares={(StepPart.PRODUCTS, False): 1.0}, extra_tensors={})
QUANTIZED = StepProfile(
    name="quantized",
    milliseconds=13.0,
    shares={(StepPart.PRODUCTS, False): 0.5, (StepPart.PRODUCTS, True): 0.3, (StepPart.WEIGHTS, False): 0.2},
    extra_tensors={"query": ExtraTensors(total=2.0, peak=1.0)},
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], BenchConfig]]:
    """Replaces the measurement by fixed results; the rows and the configuration of every call."""
    calls = []

    def measure(
        groups: Sequence[RowGroup], specs: Sequence[RowSpec], config: BenchConfig, notify: Callable[[str], None]
    ) -> Iterator[RowResult]:
        calls.append(([spec.name for spec in specs], config))
        notify("step")
        yield Row(spec=SPEC, ratio=Ratio.of([1.2, 1.1, 1.5]), note="12 ms / 10 ms")
        yield Row(spec=RowSpec(name="a.bad", description="bad", better="higher", goal=2.0), ratio=Ratio.of([1.0]))
        yield MissingRow(spec=RowSpec(name="a.missing", description="", better="lower"), reason="needs a GPU")

    monkeypatch.setattr(suite, "measure", measure)
    return calls


def _train(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", "train", *arguments])


def test_table_has_a_line_per_row(measured: list[tuple[list[str], BenchConfig]]) -> None:
    result = _train("--shape", "tiny", "--threads", "3", "--seed", "7", "--quick")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["step.w1a8", "1.2", "1.1-1.5", "at", "most", "1.3", "yes"] in [line[:7] for line in lines]
    assert ["a.bad", "1", "1-1", "at", "least", "2", "NO"] in [line[:7] for line in lines]
    assert "3 threads" in result.stdout
    assert "a.missing: needs a GPU" in result.stdout
    assert result.stderr.splitlines() == [
        "measuring step",
        "  step.w1a8: 1.2",
        "  a.bad: 1",
        "  a.missing: not measured",
    ]
    ((_, config),) = measured
    assert config == BenchConfig(shape="tiny", threads=3, seed=7, quick=True)


def test_stdout_is_json_alone(measured: list[tuple[list[str], BenchConfig]]) -> None:
    data = json.loads(_train("--format", "json").stdout)
    assert [(row["what"], row["ratio"], row["goal"], row["better"], row["met"]) for row in data["rows"]] == [
        ("quantized / full", 1.2, 1.3, "lower", True),
        ("bad", 1.0, 2.0, "higher", False),
    ]
    assert data["machine"]["device"] == "cpu"


def test_inference_has_its_own_rows_and_defaults(measured: list[tuple[list[str], BenchConfig]]) -> None:
    result = CliRunner().invoke(main, ["bench", "inference", "--only", "gemm", "--only", "start.cold"])
    assert result.exit_code == 0, result.output
    names, config = measured[0]
    assert names[0] == "gemm.w1a1-32"
    assert names[-1] == "start.cold"
    assert config == BenchConfig(shape="base", threads=1)
    assert "products of bits: " in result.stdout


def test_inference_can_be_quick_and_smaller(measured: list[tuple[list[str], BenchConfig]]) -> None:
    result = CliRunner().invoke(
        main,
        ["bench", "inference", "--shape", "minilm", "--quick", "--threads", "2", "--seed", "3", "--format", "json"],
    )
    assert json.loads(result.stdout)["machine"]["threads"] == 2
    names, config = measured[0]
    assert config == BenchConfig(shape="minilm", quick=True, threads=2, seed=3)
    assert "fp32.bibert-128" in names
    assert "file.bibert" not in names


def test_rows_of_training_are_not_those_of_inference() -> None:
    result = CliRunner().invoke(main, ["bench", "inference", "--only", "optimizer"])
    assert result.exit_code == 2
    assert "unknown row 'optimizer'" in result.stderr


def test_rows_can_be_selected(measured: list[tuple[list[str], BenchConfig]]) -> None:
    assert _train("--only", "optimizer", "--only", "step.bit").exit_code == 0
    assert measured[0][0] == ["step.bit", "optimizer.w1a8"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--only", "optimiser"), 2, "unknown row 'optimiser'; did you mean 'optimizer'?"),
        (("--device", "tpu"), 2, "--device tpu is not supported; expected cpu, cuda or cuda:NUMBER"),
        (("--device", "cuda:x"), 2, "expected cpu, cuda or cuda:NUMBER"),
        (("--device", "cuda:99"), 3, "--device cuda:99 does not exist: torch sees"),
        (("--shape", "huge"), 2, "'huge' is not one of 'tiny', 'minilm', 'base'"),
        (("--profile", "--only", "w1a9"), 2, "unknown scheme of the benchmark 'w1a9'"),
    ],
)
def test_invalid_options_are_refused(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = _train(*arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_profile_compares_the_parts_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "profile_steps", lambda only, config, notify: [FULL, QUANTIZED])
    lines = [line.split("  ") for line in _train("--profile").stdout.splitlines()]
    cells = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    assert cells["step, ms"] == ["10.0", "13.0"]
    assert cells["ratio to full"] == ["1.00x", "1.30x"]
    assert cells["matrix products"] == ["10.0 (100%)", "6.5 (50%)"]
    assert cells["matrix products, backward"] == ["0.0 (0%)", "3.9 (30%)"]
    assert cells["weight quantization"] == ["0.0 (0%)", "2.6 (20%)"]
    assert "attention" not in cells
    assert cells["extra tensors of a weight's size, total (peak)"] == ["0", "2 (1)"]
    data = json.loads(_train("--profile", "--format", "json").stdout)
    assert [step["ratio"] for step in data["steps"]] == [1.0, 1.3]


@pytest.mark.slow
def test_benchmark_runs_without_packages_it_does_not_need() -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['ray', 'mlflow', 'optuna', 'datasets'])); "
        "from bebertlab.cli.main import main; main()"
    )
    arguments = ("bench", "train", "--shape", "tiny", "--quick", "--batch-size", "4", "--threads", "1")
    command = [sys.executable, "-c", script, *arguments, "--only", "optimizer", "--only", "feeding.cache"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert "optimizer.w1a8" in process.stdout


@pytest.mark.slow
def test_rows_are_measured() -> None:
    arguments = ("--shape", "tiny", "--quick", "--batch-size", "4", "--threads", "1", "--format", "json")
    result = _train(*arguments, "--only", "step", "--only", "distillation", "--only", "trials")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert {row["row"] for row in data["rows"]} >= {"step.w1a8", "distillation.two-stage"}
    assert all(0.0 < row["low"] <= row["ratio"] <= row["high"] for row in data["rows"])
    assert data["machine"]["threads"] == 1


@pytest.mark.slow
def test_rows_of_inference_are_measured() -> None:
    arguments = ("--shape", "tiny", "--quick", "--format", "json", "--only", "fp32.bibert-32", "--only", "start")
    result = CliRunner().invoke(main, ["bench", "inference", *arguments])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert {row["row"] for row in data["information"]} == {"fp32.bibert-32", "start.cold", "start.cached"}
    assert all(0.0 < row["low"] <= row["ratio"] <= row["high"] for row in data["information"])
