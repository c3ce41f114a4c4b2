"""`bebertlab bench`: speed and memory of training and of predicting on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bebertlab.cli.options import Settings, device_option, format_option, pass_settings, table
from bebertlab.errors import SetupError, UserError

if TYPE_CHECKING:
    from bebertlab.bench.measurement import Row, RowResult
    from bebertlab.bench.models import BenchConfig
    from bebertlab.bench.profile import StepProfile
    from bebertlab.bench.report import MachineInfo
    from bebertlab.bench.suite import RowGroup

Command = TypeVar("Command", bound=Callable[..., Any])

_DEVICES = ("cpu", "cuda")


@click.group()
def bench() -> None:
    """Measure speed and memory."""


def _shape_option(default: str) -> Callable[[Command], Command]:
    return click.option(
        "--shape",
        type=click.Choice(["tiny", "minilm", "base"]),
        default=default,
        show_default=True,
        help="Size of the models.",
    )


_only_option = click.option("--only", multiple=True, metavar="ROW", help="Only this row or group of rows. Repeatable.")
_seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sentences and weights.")


@bench.command()
@_shape_option("minilm")
@click.option("--quick", is_flag=True, help="Fewer rows and repeats: under a minute on two cores.")
@_only_option
@click.option("--profile", "profiled", is_flag=True, help="Show the time of each part of a training step instead.")
@device_option
@click.option("--threads", type=click.IntRange(1), help="Threads of torch.  [default: one per core]")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Sentences per step.")
@_seed_option
@format_option
@pass_settings
def train(
    settings: Settings,
    shape: str,
    quick: bool,
    only: tuple[str, ...],
    profiled: bool,
    device: str,
    threads: int | None,
    batch_size: int,
    seed: int,
    form: str,
) -> None:
    """Compare quantized training with full-precision training, on generated sentences as long as those of SST-2.

    Every figure is the median ratio of alternating runs, and the spread is the lowest and the highest ratio. The
    reference is Hugging Face's BERT of the same shape. With --profile, --only selects schemes.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # read by torch's profiler at import; it logs every start otherwise
    from bebertlab.bench.groups import TRAINING
    from bebertlab.bench.models import BenchConfig
    from bebertlab.bench.report import machine_info
    from bebertlab.processors import processors

    settings.load()
    config = BenchConfig(
        shape=shape,
        device=_check_device(device),
        threads=threads or processors().usable,
        seed=seed,
        quick=quick,
        batch_size=batch_size,
        plugins=settings.plugins,
    )
    machine = machine_info(config)
    if profiled:
        _show_profiles(only, config, machine, form)
    else:
        _show_rows(TRAINING, only, config, machine, form)


@bench.command()
@_shape_option("base")
@click.option("--quick", is_flag=True, help="Fewer rows and repeats: under 90 seconds on two cores.")
@_only_option
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of torch and of rivals.")
@_seed_option
@format_option
@pass_settings
def inference(
    settings: Settings, shape: str, quick: bool, only: tuple[str, ...], threads: int, seed: int, form: str
) -> None:
    """Compare packed models with other number formats and programs, on generated sentences and random weights.

    Every figure is the median ratio of alternating runs, and the spread is the lowest and the highest ratio. Rivals
    are what is installed of ONNX Runtime and OpenVINO, besides torch. Goals are for BERT-base and one thread; the rows
    of other shapes have none.
    """
    from bebertlab.bench.groups import INFERENCE
    from bebertlab.bench.models import BenchConfig
    from bebertlab.bench.report import machine_info

    settings.load()
    config = BenchConfig(shape=shape, threads=threads, seed=seed, quick=quick, plugins=settings.plugins)
    _show_rows(INFERENCE, only, config, machine_info(config), form)


def _check_device(device: str) -> str:
    """The device, if it exists.

    Raises:
        UserError: the benchmark does not support this kind of device.
        SetupError: this machine does not have it.
    """
    import torch

    kind, _, number = device.partition(":")
    if kind not in _DEVICES or not (number.isdecimal() or (number == "" and ":" not in device)):
        raise UserError(f"--device {device} is not supported; expected cpu, cuda or cuda:NUMBER")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise SetupError(f"--device {device} does not exist: torch sees {torch.cuda.device_count()} GPUs")
    return device


def _show_rows(
    groups: Sequence[RowGroup], only: Sequence[str], config: BenchConfig, machine: MachineInfo, form: str
) -> None:
    from bebertlab.bench.report import rows_report
    from bebertlab.bench.suite import choose, measure

    specs = choose(groups, only, quick=config.quick)
    results = []
    for result in measure(groups, specs, config, lambda names: click.echo(f"measuring {names}", err=True)):
        results.append(result)
        click.echo(f"  {_format_result(result)}", err=True)
    click.echo(json.dumps(rows_report(results, machine), indent=2) if form == "json" else _rows_table(results, machine))


def _format_result(result: RowResult) -> str:
    from bebertlab.bench.measurement import Row

    if isinstance(result, Row):
        return f"{result.spec.name}: {result.ratio.median:.3g}"
    return f"{result.spec.name}: not measured"


def _rows_table(results: Sequence[RowResult], machine: MachineInfo) -> str:
    from bebertlab.bench.measurement import MissingRow, Row

    rows = [_cells(result) for result in results if isinstance(result, Row)]
    missing = [f"  {result.spec.name}: {result.reason}" for result in results if isinstance(result, MissingRow)]
    paragraphs = [_machine_line(machine)]
    if rows:
        paragraphs.append(table(("ROW", "RATIO", "SPREAD", "GOAL", "MET", "WHAT", "FIGURES"), rows))
    if missing:
        paragraphs.append("\n".join(["Not measured:", *missing]))
    return "\n\n".join(paragraphs)


def _cells(row: Row) -> tuple[str, ...]:
    goal = row.spec.goal
    bound = "at most" if row.spec.better == "lower" else "at least"
    return (
        row.spec.name,
        f"{row.ratio.median:.3g}",
        f"{row.ratio.low:.3g}-{row.ratio.high:.3g}",
        "" if goal is None else f"{bound} {goal:g}",
        {None: "", True: "yes", False: "NO"}[row.met],
        row.spec.description,
        row.note,
    )


def _machine_line(machine: MachineInfo) -> str:
    memory = "" if machine.memory_gibibytes is None else f", {machine.memory_gibibytes:g} GiB"
    hardware = machine.gpu or f"{machine.processor}, {machine.cores} cores, {machine.threads} threads{memory}"
    features = ", ".join((*machine.instructions, *(["int8 GEMM"] if machine.int8_gemm else [])))
    versions = f"torch {machine.torch}, transformers {machine.transformers}"
    return f"{hardware}; {features}; products of bits: {machine.kernels}; {versions}"


def _show_profiles(only: Sequence[str], config: BenchConfig, machine: MachineInfo, form: str) -> None:
    from bebertlab.bench.profile import profile_steps
    from bebertlab.bench.report import profile_report

    profiles = profile_steps(only, config, lambda name: click.echo(f"profiling {name}", err=True))
    if form == "json":
        click.echo(json.dumps(profile_report(profiles, machine), indent=2))
    else:
        click.echo(_profile_table(profiles, machine))


def _profile_table(profiles: Sequence[StepProfile], machine: MachineInfo) -> str:
    from bebertlab.bench.profile import StepPart
    from bebertlab.bench.training import TOKENS

    first = profiles[0]
    lines = [
        ("step, ms", *(f"{profile.milliseconds:.1f}" for profile in profiles)),
        (f"ratio to {first.name}", *(f"{profile.milliseconds / first.milliseconds:.2f}x" for profile in profiles)),
    ]
    for part in StepPart:
        for backward in (False, True):
            shares = [profile.shares.get((part, backward), 0.0) for profile in profiles]
            if any(shares):
                cells = (
                    f"{share * profile.milliseconds:.1f} ({share:.0%})"
                    for share, profile in zip(shares, profiles, strict=True)
                )
                lines.append((f"{part}{', backward' if backward else ''}", *cells))
    lines.append(("extra tensors of a weight's size, total (peak)", *map(_extra_tensors, profiles)))
    head = ("PART", *(profile.name for profile in profiles))
    return f"{_machine_line(machine)}\na training step, {TOKENS} tokens; ms and share\n\n{table(head, lines)}"


def _extra_tensors(profile: StepProfile) -> str:
    extra_tensors = profile.extra_tensors.values()
    if not extra_tensors:
        return "0"
    return f"{max(extra.total for extra in extra_tensors):.2g} ({max(extra.peak for extra in extra_tensors):.2g})"
